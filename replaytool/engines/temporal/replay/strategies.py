"""The strategies that `--engine` chooses from.

`sdk` runs the SDK's own replayer, which is what a worker would do. `direct` is ours, and faster. `auto` trusts
`direct` if the run passes, and asks `sdk` to confirm anything else. `both` runs both and reports disagreement.
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


def replay_sdk(run: Run, code: Code, options: Options) -> Verdict:
    """Replay with the SDK's own replayer, which makes a sandbox for each run."""
    return sdk_engine.run_sdk_replayer(
        run, code, replace(options, sandbox=PER_RUN) if options.sandbox == SHARED else options
    )


def replay_direct(run: Run, code: Code, options: Options) -> Verdict:
    """Replay with the direct replayer; a run it cannot judge goes to the SDK's, and a note says why."""
    found = direct_engine.replay_directly(run, code, options)
    if isinstance(found, Verdict):
        return found
    verdict = replay_sdk(run, code, options)
    return replace(verdict, notes=(*verdict.notes, f"replayed by the sdk engine: {found.reason}"))


def replay_auto(run: Run, code: Code, options: Options) -> Verdict:
    """Replay with the direct replayer, and confirm every verdict but `ok` and `drift` with the SDK's."""
    found = replay_direct(run, code, options)
    if found.engine == "sdk" or found.verdict in _BELIEVED or _ran_out_of_memory(found):
        return found
    confirmed = replay_sdk(run, code, options)
    seconds = found.seconds + confirmed.seconds
    if _comparison_key(confirmed) == _comparison_key(found):
        return replace(found, confirmed_by="sdk", seconds=seconds)
    if is_unstable(found):
        return replace(found, seconds=seconds)  # one more replay cannot confirm what differs from replay to replay
    if may_be_unstable(found, confirmed):
        return replace(combine_verdicts([found, confirmed]), seconds=seconds)
    note = f"the direct engine said {_describe_verdict(found)}; the sdk engine decides"
    return replace(confirmed, notes=(*confirmed.notes, note), seconds=seconds)


def replay_both(run: Run, code: Code, options: Options) -> Verdict:
    """Replay with both; a disagreement is a fault of replaytool and makes the verdict `unverified`."""
    ours = replay_direct(run, code, options)
    if _ran_out_of_memory(ours):
        return ours
    theirs = replay_sdk(run, code, options)
    seconds = ours.seconds + theirs.seconds
    if _comparison_key(ours) == _comparison_key(theirs):
        return replace(ours, confirmed_by="sdk", seconds=seconds)
    if is_unstable(ours):
        return replace(ours, seconds=seconds)
    if may_be_unstable(ours, theirs):
        return replace(combine_verdicts([ours, theirs]), seconds=seconds)
    reason = (
        "a fault of replaytool: its engines disagree "
        f"(direct: {_describe_verdict(ours)}; sdk: {_describe_verdict(theirs)}); "
        "report it with this history (replaytool export)"
    )
    return replace(theirs, verdict="unverified", reason=reason, engine="both", seconds=seconds)


def _ran_out_of_memory(verdict: Verdict) -> bool:
    """Return whether the code used all memory. sdk-core cannot start a thread then, and aborts the process."""
    return verdict.failure is not None and verdict.failure.type == "MemoryError"


def _comparison_key(verdict: Verdict) -> tuple[object, ...]:
    """Return what is equal when two replayers agree."""
    return (verdict.verdict, verdict.stuck, _verdict_event_id(verdict))


def _verdict_event_id(verdict: Verdict) -> int | None:
    found = verdict.divergence or verdict.failure
    return found.event_id if found else None


def _describe_verdict(verdict: Verdict) -> str:
    place = f" at event {_verdict_event_id(verdict)}" if _verdict_event_id(verdict) else ""
    return f"{verdict.verdict}{place}"
