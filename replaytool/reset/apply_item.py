"""Reset one item in steps that leave the ledger readable for whoever resumes.

A reset is not idempotent: since server 1.31 a repeated request resets again, and a second reset of the same base loses
what was sent to the run of the first one. So each call has a ledger entry before it and another after it. If an answer
is lost, the histories are searched for the item's token before anything is called again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from replaytool.engines.temporal.reset.server_calls import ResetClient, has_reset_token
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_case import ResetRule, RunChain
from replaytool.model.reset_plan import (
    BLOCK,
    DONE,
    FAILED,
    INTENDED,
    LOST,
    NOT_CALLED,
    REFUSED,
    ItemOutcome,
    ResetItem,
    ResetPlan,
)
from replaytool.model.reset_server import AnswerLost, ResetRefused, ResetSettings, RunDescription
from replaytool.reset.planner import find_hazard_warnings, make_case

_TRIES = 4
Write = Callable[[ItemOutcome], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ItemResetter:
    """What all items of an apply share."""

    server: ResetClient
    plan: ResetPlan
    how: ResetSettings
    write: Write
    pace: Callable[[], Awaitable[None]]
    going: Callable[[], bool]
    """Return whether calls may still be made."""
    failed: Callable[[], None]
    """Called at each failure, at once."""
    gate: asyncio.Semaphore
    """Limits the open calls. Ledger entries are written outside of it, so that none waits for a slot."""
    settle: float
    """Seconds after which a call with a lost answer has taken effect, or never will."""

    async def reset_item(self, item: ResetItem, before: ItemOutcome | None) -> ItemOutcome:
        """Bring the item to an end, from any state that an earlier process left."""
        attempt = before.attempt if before else 0
        if before is not None and before.state == DONE:
            return before
        if before is not None and before.state in (INTENDED, LOST):
            await asyncio.sleep(self._seconds_until_settled(before))
            if new := await self.find_reset_run(item):
                return await self._write_outcome(item, DONE, attempt, new, "found by its token")
        last = attempt + _TRIES
        while attempt < last:
            attempt += 1
            outcome = await self._try_reset(item, attempt)
            if outcome is not None:
                return outcome
        return await self._write_outcome(
            item, LOST, attempt, None, "the server did not answer, and its histories show no reset"
        )

    async def _try_reset(self, item: ResetItem, attempt: int) -> ItemOutcome | None:
        """Make one call if the workflow is still as planned; return None if the call left no trace."""
        await self.pace()
        current = await self._describe_newest_run(item)
        if (refusal := await self._find_refusal(item, current)) is not None:
            state, new, message = refusal
            return await self._write_outcome(item, state, attempt - 1, new, message)
        await self._write_outcome(item, INTENDED, attempt)
        try:
            new_run = await self._call_server(item)
        except AnswerLost:
            await asyncio.sleep(self.settle)
            found = await self.find_reset_run(item)
            return await self._write_outcome(item, DONE, attempt, found, "found by its token") if found else None
        except ResetRefused as error:
            return await self._write_outcome(item, FAILED, attempt, None, str(error))
        except ReplaytoolError as error:
            await self._write_outcome(item, FAILED, attempt, None, error.message)
            raise
        if new_run is None:
            return await self._write_outcome(
                item, NOT_CALLED, attempt - 1, None, "the apply was stopped before the call"
            )
        return await self._write_outcome(item, DONE, attempt, new_run)

    async def _describe_newest_run(self, item: ResetItem) -> RunDescription | None:
        """Describe the newest run. A workflow has at most one open run, and the server finds it faster by run id."""
        if item.status == "Running":
            named = await self.server.describe_run(item.workflow_id, item.current_run_id)
            if named is not None and named.status == "Running":
                return named
        return await self.server.describe_run(item.workflow_id)

    async def _call_server(self, item: ResetItem) -> str | None:
        """Return the new run's id, or None if the apply was stopped before the call. Only the call holds the gate."""
        async with self.gate:
            if not self.going():
                return None
            token = self.plan.reset_token(item)
            return await self.server.reset_run(item.workflow_id, item.run_id, item.point.event_id, token, self.how)

    async def _find_refusal(
        self, item: ResetItem, current: RunDescription | None
    ) -> tuple[str, str | None, str] | None:
        if current is None:
            return FAILED, None, "the server no longer has this workflow"
        if current.run_id != item.current_run_id:
            if new := await self.find_reset_run(item, current):
                return DONE, new, "found by its token"
            text = f"the newest run is {current.run_id}, not {item.current_run_id} as planned"
            return REFUSED, None, text
        if current.events > item.current_events and (trap := await self.find_new_hazard(item)):
            return REFUSED, None, f"new events since the plan block the reset: {trap}"
        return None

    async def find_new_hazard(self, item: ResetItem) -> str | None:
        """Return what blocks the reset now and did not when it was planned, by the history as it is now."""
        ids = [item.run_id, *item.undone_runs]
        runs = tuple([await self.server.fetch_run_facts(item.workflow_id, run_id) for run_id in ids])
        rule = ResetRule("build", str(self.plan.rule["build"])) if "build" in self.plan.rule else ResetRule("event")
        again = make_case(rule, RunChain(runs), runs[0], item.point)
        known = {warning.message for warning in item.warnings if warning.level == BLOCK}
        children: dict[str, tuple[str | None, str]] = {
            child.workflow_id: (None, child.state) for child in item.children_again
        }
        found = [one for one in find_hazard_warnings(again.with_children(children)) if one.level == BLOCK]
        return next((one.message for one in found if one.message not in known), None)

    async def find_reset_run(self, item: ResetItem, current: RunDescription | None = None) -> str | None:
        """Return the id of the run that our reset of this item made, if it exists."""
        current = current or await self.server.describe_run(item.workflow_id)
        base = await self.server.describe_run(item.workflow_id, item.run_id)
        candidates = (base.reset_run_id if base else None, current.run_id if current else None)
        for run_id in dict.fromkeys(candidates):
            if run_id is None or run_id == item.run_id:
                continue
            event = await self.server.fetch_event(item.workflow_id, run_id, item.point.event_id)
            if has_reset_token(event, self.plan.reset_token(item)):
                return run_id
        return None

    def _seconds_until_settled(self, before: ItemOutcome) -> float:
        """Return how long an earlier call may still take effect."""
        if before.at is None:
            return self.settle
        age = (datetime.now(UTC) - datetime.fromisoformat(before.at)).total_seconds()
        return min(max(0.0, self.settle - age), self.settle)

    async def _write_outcome(
        self, item: ResetItem, state: str, attempt: int, new_run: str | None = None, message: str | None = None
    ) -> ItemOutcome:
        if state in (FAILED, REFUSED, LOST):
            self.failed()  # before the entry is written, so that no other call starts meanwhile
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        place = (item.id, item.workflow_id, item.run_id, item.point.event_id)
        entry = ItemOutcome(*place, state, attempt, new_run, message, at)
        await self.write(entry)
        return entry
