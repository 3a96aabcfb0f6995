"""Sources judged one after the other, each at once: for tests, which ask file by file."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

from replaytool import ingest
from replaytool.check.causes import causes
from replaytool.engines import CodeSpec, Options
from replaytool.formats import Unreadable
from replaytool.model.history import Hints, Run
from replaytool.model.verdict import Checked, CodeInfo, Report, Subject, Verdict
from replaytool.sources import Source
from replaytool.workers.pool import Replayer, work_of


def just_recorded(history: str, workflow_id: str) -> Source:
    """A history that is in memory, as the SDK writes it."""
    hints = Hints(name=workflow_id, workflow_id=workflow_id, is_certain=True)
    return Source(workflow_id, lambda: io.BytesIO(history.encode()), hints)


class Judge:
    """One piece of code, and whatever it is asked to follow."""

    def __init__(self, spec: CodeSpec, options: Options | None = None) -> None:
        self._spec = spec
        self._replayer = Replayer(spec, options)

    def report(self, source: Source) -> Report:
        """On all runs of a source; one that cannot be read has a verdict of its own, and not a good one."""
        began = time.monotonic()
        checked = list(self._checked(source))
        return Report(CodeInfo(self._spec.workflows), checked, causes(checked), time.monotonic() - began)

    def close(self) -> None:
        """Nothing more is asked."""
        self._replayer.close()

    def _checked(self, source: Source) -> Iterator[Checked]:
        try:
            for number, run in enumerate(ingest.read(source)):
                verdict = self._replayer.replay(work_of(str(number), run))
                yield Checked(_subject(run, source.name), verdict)
        except Unreadable as error:
            where = f" ({error.position})" if error.position else ""
            hint = f"; {error.hint}" if error.hint else ""
            yield Checked(Subject(source.name, source.name), Verdict("unverified", f"{error.reason}{where}{hint}"))


def _subject(run: Run, source: str) -> Subject:
    key = run.run_id or run.sha256[:12]
    return Subject(key, source, run.workflow_id, run.run_id, run.workflow_type, len(run.events))
