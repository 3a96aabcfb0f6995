"""The engines by the names that a person chooses, and how far each is believed.

`sdk` is the truth about what a worker would do; `direct` is ours, and faster; `auto` believes `direct` where it finds
nothing and asks `sdk` before it tells of anything else; `both` runs both on everything and tells where they differ.
"""

from __future__ import annotations

from dataclasses import replace

from replaytool.engines.temporal.replay import direct as direct_engine
from replaytool.engines.temporal.replay import sdk_replayer as sdk_engine
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.unstable import combine_verdicts, is_unstable, may_be_unstable
from replaytool.replay.options import PER_RUN, SHARED, Options

_BELIEVED = {"ok", "drift"}


def sdk(run: Run, code: Code, options: Options) -> Verdict:
    """The SDK's own replayer, which has a sandbox for each run."""
    return sdk_engine.replay(run, code, replace(options, sandbox=PER_RUN) if options.sandbox == SHARED else options)


def direct(run: Run, code: Code, options: Options) -> Verdict:
    """Ours; what it cannot do for certain goes to the SDK's, and the verdict says so."""
    found = direct_engine.replay(run, code, options)
    if isinstance(found, Verdict):
        return found
    verdict = sdk(run, code, options)
    return replace(verdict, notes=(*verdict.notes, f"left to the sdk engine: {found.reason}"))


def auto(run: Run, code: Code, options: Options) -> Verdict:
    """Ours, and every bad word confirmed before it is said."""
    found = direct(run, code, options)
    if found.engine == "sdk" or found.verdict in _BELIEVED or _ran_out(found):
        return found
    confirmed = sdk(run, code, options)
    seconds = found.seconds + confirmed.seconds
    if _said(confirmed) == _said(found):
        return replace(found, confirmed_by="sdk", seconds=seconds)
    if is_unstable(found):
        return replace(found, seconds=seconds)  # one more replay proves nothing
    if may_be_unstable(found, confirmed):
        return replace(combine_verdicts([found, confirmed]), seconds=seconds)
    note = f"the direct engine said {_words(found)}; the sdk engine's word counts"
    return replace(confirmed, notes=(*confirmed.notes, note), seconds=seconds)


def both(run: Run, code: Code, options: Options) -> Verdict:
    """Both; where they differ, replaytool is at fault and says so."""
    ours = direct(run, code, options)
    if _ran_out(ours):
        return ours
    theirs = sdk(run, code, options)
    seconds = ours.seconds + theirs.seconds
    if _said(ours) == _said(theirs):
        return replace(ours, confirmed_by="sdk", seconds=seconds)
    if is_unstable(ours):
        return replace(ours, seconds=seconds)
    if may_be_unstable(ours, theirs):
        return replace(combine_verdicts([ours, theirs]), seconds=seconds)
    reason = (
        f"a fault of replaytool: its engines disagree (direct: {_words(ours)}; sdk: {_words(theirs)}); "
        "please report it with this history (replaytool export)"
    )
    return replace(theirs, verdict="unverified", reason=reason, engine="both", seconds=seconds)


def _ran_out(verdict: Verdict) -> bool:
    """The code took all the memory. The SDK's core finds no room for a thread then, and takes the process along."""
    return verdict.failure is not None and verdict.failure.type == "MemoryError"


def _said(verdict: Verdict) -> tuple[object, ...]:
    """What must be equal where two engines agree."""
    return (verdict.verdict, verdict.stuck, _event(verdict))


def _event(verdict: Verdict) -> int | None:
    found = verdict.divergence or verdict.failure
    return found.event_id if found else None


def _words(verdict: Verdict) -> str:
    place = f" at event {_event(verdict)}" if _event(verdict) else ""
    return f"{verdict.verdict}{place}"
