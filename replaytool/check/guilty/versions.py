"""Replay runs with versions of the code: the base with some edits, in one checkout that is rewritten each time."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.check.causes import describe_finding, mask_digits
from replaytool.check.check_runs import CheckPlan
from replaytool.check.guilty.edits import CodeEdit, apply_edits
from replaytool.check.guilty.needs import can_parse
from replaytool.check.guilty.search import Outcome, OutOfTime, Trial
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Verdict, Word
from replaytool.workers.pool import WorkItem, replay_all_runs

_OWN_ERRORS = frozenset({"NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "AttributeError"})
_ABOUT_ARGUMENTS = re.compile(r"argument|positional|keyword")
_NAMES = re.compile(r"'(\w+)'|\b(\w+)\(\)")


def finding_sign(verdict: Verdict) -> str:
    """Return what is wrong, in words that are the same for the same finding."""
    event = verdict.event_id if verdict.divergence is not None else ""
    drift = " ".join(sorted({one.path for one in verdict.drift})) if verdict.verdict == "drift" else ""
    return f"{verdict.verdict} {event} {mask_digits(describe_finding(verdict))} {drift}"


@dataclass
class VersionCheckout:
    """A checkout of the base in which versions are written, and the runs that are replayed with each."""

    folder: Path
    plan: CheckPlan
    """Its code is the checkout's."""
    edits: Sequence[CodeEdit]
    before: Mapping[str, str | None]
    """The files of the edits at the base; None for one that the change adds."""
    works: Mapping[str, WorkItem]
    breaking: frozenset[Word]
    deadline: float = float("inf")
    versions: int = 0
    replays: int = 0

    @property
    def everything(self) -> frozenset[int]:
        """The whole change."""
        return frozenset(range(len(self.edits)))

    def replay_version(self, made: frozenset[int], keys: Sequence[str], engine: str) -> Mapping[str, Verdict] | str:
        """Write the version and replay these runs; return why it cannot be loaded, if so."""
        if time.monotonic() > self.deadline:
            raise OutOfTime
        if not self._write_version(made):
            return ""
        self.versions += 1
        self.replays += len(keys)
        works = [self.works[key] for key in keys]
        try:
            return replay_all_runs(works, self.plan.spec, self.plan.options, self.plan.limits, engine).verdicts
        except ReplaytoolError as error:
            return error.message

    def _write_version(self, made: frozenset[int]) -> bool:
        """Write the files; return False for a version that is not Python."""
        texts = {
            path: apply_edits(text, [self.edits[one] for one in made if self.edits[one].path == path])
            for path, text in self.before.items()
        }
        if not all(can_parse(path, text) for path, text in texts.items()):
            return False
        for path, text in texts.items():
            place = self.folder / path
            if text is None:
                place.unlink(missing_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode("utf-8", "surrogateescape"))
        return True


@dataclass
class WatchedRuns:
    """The runs that stand for all that break, and what the base and the whole change do with them."""

    checkout: VersionCheckout
    base: Mapping[str, Verdict]
    head: Mapping[str, Verdict]
    engine: str
    _trials: dict[frozenset[int], Trial] = field(default_factory=dict)

    def try_edits(self, made: frozenset[int]) -> Trial:
        """Return what becomes of the watched runs with only these edits."""
        if made not in self._trials:
            self._trials[made] = self._try_version(made)
        return self._trials[made]

    def _try_version(self, made: frozenset[int]) -> Trial:
        keys = list(self.head)
        verdicts = self.checkout.replay_version(made, keys, self.engine)
        if isinstance(verdicts, str):
            return Trial(tuple((key, "unresolved") for key in keys), _names_in(verdicts))
        judged = [(key, self._judge(key, verdicts[key])) for key in keys]
        missing = [_names_in(_message_of(verdicts[key])) for key, outcome in judged if outcome == "unresolved"]
        return Trial(tuple(judged), tuple(dict.fromkeys(name for names in missing for name in names)))

    def _judge(self, key: str, verdict: Verdict) -> Outcome:
        if verdict.verdict not in self.checkout.breaking or finding_sign(verdict) == finding_sign(self.base[key]):
            return "passes"
        return "unresolved" if proves_nothing(verdict, self.head[key]) else "breaks"


def proves_nothing(verdict: Verdict, head: Verdict) -> bool:
    """Return whether the finding comes from half of an edit, and not from what the edit does."""
    if verdict.verdict in ("unverified", "crashed"):
        return head.verdict != verdict.verdict
    failure = verdict.failure
    if failure is None or (head.failure is not None and head.failure.message == failure.message):
        return False
    return failure.type in _OWN_ERRORS or (
        failure.type == "TypeError" and _ABOUT_ARGUMENTS.search(failure.message) is not None
    )


def _message_of(verdict: Verdict) -> str:
    return verdict.failure.message if verdict.failure is not None else verdict.reason


def _names_in(message: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first or second for first, second in _NAMES.findall(message)))
