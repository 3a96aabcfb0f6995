"""The steps of one item, each of which leaves the ledger so that whoever comes next knows what may have happened.

A reset has no idempotency of its own: since server 1.31 a repeated request resets again, and a second reset of the
same base loses what was sent to the run of the first. So before each call there is an entry, behind it another; and
where the answer is missing, the histories are asked for the item's token before anything is called again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from replaytool.engines.temporal.reset.points import ResetRule
from replaytool.engines.temporal.reset.run_chain import RunChain
from replaytool.engines.temporal.reset.server_calls import (
    AnswerLost,
    ResetClient,
    ResetRefused,
    ResetSettings,
    RunDescription,
    has_reset_token,
)
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import (
    BLOCK,
    DONE,
    FAILED,
    INTENDED,
    LOST,
    NOT_CALLED,
    REFUSED,
    Outcome,
    ResetItem,
    ResetPlan,
)
from replaytool.reset.planner import case, warned

_TRIES = 4
Write = Callable[[Outcome], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Steps:
    """What all items of an apply share."""

    server: ResetClient
    plan: ResetPlan
    how: ResetSettings
    write: Write
    pace: Callable[[], Awaitable[None]]
    going: Callable[[], bool]
    """Whether calls may still be made."""
    failed: Callable[[], None]
    """Told of each failure at once."""
    gate: asyncio.Semaphore
    """So many calls are under way at once; what precedes and follows a call does not count, and keeps none waiting."""
    settle: float
    """Seconds after which a call whose answer was lost has taken effect, or never will."""

    async def take(self, item: ResetItem, before: Outcome | None) -> Outcome:
        """Bring the item to an end, from wherever an earlier process left it."""
        attempt = before.attempt if before else 0
        if before is not None and before.state == DONE:
            return before
        if before is not None and before.state in (INTENDED, LOST):
            await asyncio.sleep(self._unsettled(before))
            if new := await self.found(item):
                return await self._note(item, DONE, attempt, new, "found by its token")
        last = attempt + _TRIES
        while attempt < last:
            attempt += 1
            outcome = await self._tried(item, attempt)
            if outcome is not None:
                return outcome
        return await self._note(item, LOST, attempt, None, "the server gave no answer, and its histories show no reset")

    async def _tried(self, item: ResetItem, attempt: int) -> Outcome | None:
        """One call, if the workflow still is what was planned; nothing where a call left no trace."""
        await self.pace()
        current = await self._newest(item)
        if (refusal := await self._not_as_planned(item, current)) is not None:
            state, new, message = refusal
            return await self._note(item, state, attempt - 1, new, message)
        await self._note(item, INTENDED, attempt)
        try:
            new_run = await self._called(item)
        except AnswerLost:
            await asyncio.sleep(self.settle)
            found = await self.found(item)
            return await self._note(item, DONE, attempt, found, "found by its token") if found else None
        except ResetRefused as error:
            return await self._note(item, FAILED, attempt, None, str(error))
        except ReplaytoolError as error:
            await self._note(item, FAILED, attempt, None, error.message)
            raise
        if new_run is None:
            return await self._note(item, NOT_CALLED, attempt - 1, None, "the apply was stopped before the call")
        return await self._note(item, DONE, attempt, new_run)

    async def _newest(self, item: ResetItem) -> RunDescription | None:
        """A workflow has one open run at most: the planned one, if it is open. By name the server finds it sooner."""
        if item.status == "Running":
            named = await self.server.describe_run(item.workflow_id, item.current_run_id)
            if named is not None and named.status == "Running":
                return named
        return await self.server.describe_run(item.workflow_id)

    async def _called(self, item: ResetItem) -> str | None:
        """The new run; nothing where it was stopped in time. The gate is held for the call, and for no entry."""
        async with self.gate:
            if not self.going():
                return None
            token = self.plan.token(item)
            return await self.server.reset_run(item.workflow_id, item.run_id, item.point.event_id, token, self.how)

    async def _not_as_planned(
        self, item: ResetItem, current: RunDescription | None
    ) -> tuple[str, str | None, str] | None:
        if current is None:
            return FAILED, None, "the server does not have this workflow any longer"
        if current.run_id != item.current_run_id:
            if new := await self.found(item, current):
                return DONE, new, "found by its token"
            text = f"its newest run is {current.run_id}, and was {item.current_run_id}: it went on or was reset since"
            return REFUSED, None, text
        if current.events > item.current_events and (trap := await self.new_trap(item)):
            return REFUSED, None, f"it went on since the plan was made, and now {trap}"
        return None

    async def new_trap(self, item: ResetItem) -> str | None:
        """What blocks the reset now and did not when it was planned: the history as it is now, read again."""
        ids = [item.run_id, *item.undone_runs]
        runs = tuple([await self.server.fetch_run_facts(item.workflow_id, run_id) for run_id in ids])
        rule = ResetRule("build", str(self.plan.rule["build"])) if "build" in self.plan.rule else ResetRule("event")
        again = case(rule, RunChain(runs), runs[0], item.point)
        known = {warning.message for warning in item.warnings if warning.level == BLOCK}
        children: dict[str, tuple[str | None, str]] = {
            child.workflow_id: (None, child.state) for child in item.children_again
        }
        found = [one for one in warned(again.with_children(children)) if one.level == BLOCK]
        return next((one.message for one in found if one.message not in known), None)

    async def found(self, item: ResetItem, current: RunDescription | None = None) -> str | None:
        """The run that our reset of this item made, if there is one."""
        current = current or await self.server.describe_run(item.workflow_id)
        base = await self.server.describe_run(item.workflow_id, item.run_id)
        candidates = (base.reset_run_id if base else None, current.run_id if current else None)
        for run_id in dict.fromkeys(candidates):
            if run_id is None or run_id == item.run_id:
                continue
            event = await self.server.fetch_event(item.workflow_id, run_id, item.point.event_id)
            if has_reset_token(event, self.plan.token(item)):
                return run_id
        return None

    def _unsettled(self, before: Outcome) -> float:
        """How long to wait until nothing of an earlier call can be under way."""
        if before.at is None:
            return self.settle
        age = (datetime.now(UTC) - datetime.fromisoformat(before.at)).total_seconds()
        return min(max(0.0, self.settle - age), self.settle)

    async def _note(
        self, item: ResetItem, state: str, attempt: int, new_run: str | None = None, message: str | None = None
    ) -> Outcome:
        if state in (FAILED, REFUSED, LOST):
            self.failed()  # before the entry is written, so that no other call begins meanwhile
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        place = (item.id, item.workflow_id, item.run_id, item.point.event_id)
        entry = Outcome(*place, state, attempt, new_run, message, at)
        await self.write(entry)
        return entry
