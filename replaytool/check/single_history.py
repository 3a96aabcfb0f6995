"""Check single histories, each as soon as it is asked for: for tests."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

from replaytool import ingest
from replaytool.check.causes import find_causes
from replaytool.engines import CodeSpec, Options
from replaytool.formats import Unreadable
from replaytool.model.history import Run, RunHints
from replaytool.model.verdict import CheckedRun, CheckReport, CodeInfo, Subject, Verdict
from replaytool.sources import HistorySource
from replaytool.workers.pool import SingleReplayer, work_from_run


def source_from_memory(history: str, workflow_id: str) -> HistorySource:
    """Return a source that reads a history from memory, in the SDK's JSON format."""
    hints = RunHints(name=workflow_id, workflow_id=workflow_id, is_certain=True)
    return HistorySource(workflow_id, lambda: io.BytesIO(history.encode()), hints)


class HistoryChecker:
    """Checks histories against one piece of code, with one worker process that stays."""

    def __init__(self, spec: CodeSpec, options: Options | None = None) -> None:
        self._spec = spec
        self._replayer = SingleReplayer(spec, options)

    def check_source(self, source: HistorySource) -> CheckReport:
        """Check all runs of a source; a source that cannot be read gets the verdict "unverified"."""
        began = time.monotonic()
        checked = list(self._check_each_run(source))
        return CheckReport(CodeInfo(self._spec.workflows), checked, find_causes(checked), time.monotonic() - began)

    def close_worker(self) -> None:
        """End the worker process."""
        self._replayer.close_worker()

    def _check_each_run(self, source: HistorySource) -> Iterator[CheckedRun]:
        try:
            for number, run in enumerate(ingest.read_runs(source)):
                verdict = self._replayer.replay_run(work_from_run(str(number), run))
                yield CheckedRun(_describe_run(run, source.name), verdict)
        except Unreadable as error:
            where = f" ({error.position})" if error.position else ""
            hint = f"; {error.hint}" if error.hint else ""
            yield CheckedRun(
                Subject(source.name, source.name),
                Verdict("unverified", f"{error.reason}{where} [{error.code.code}]{hint}"),
            )


def _describe_run(run: Run, source: str) -> Subject:
    key = run.run_id or run.sha256[:12]
    return Subject(key, source, run.workflow_id, run.run_id, run.workflow_type, len(run.events))
