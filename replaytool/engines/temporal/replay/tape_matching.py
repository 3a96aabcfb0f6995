"""The queue between the code and the record: commands wait in it until their event comes, first in, first out.

It is the core's rule and nothing more: an event that records a command takes the command that waits longest. What
makes it look complicated is what never reaches the queue (local activities, what is cancelled before it was sent) and
what the core puts there itself (the cancel of a child, the search attribute that goes with a patch).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from replaytool.engines.temporal.replay.command_kinds import BY_KIND, TERMINAL
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import SEARCH_ATTRIBUTE_OF_PATCHES, RecordedHistory
from replaytool.model.verdict import CallSite, Command, ExpectedEvent
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch, differing_fields

_ABANDON = {"schedule_activity": 2, "start_child_workflow_execution": 0, "schedule_nexus_operation": 1}
_OPENS = {
    "start_timer": "timer",
    "schedule_activity": "activity",
    "start_child_workflow_execution": "child",
    "signal_external_workflow_execution": "signal",
    "schedule_nexus_operation": "nexus",
}
_CANCELS = {
    "cancel_timer": ("timer", "seq"),
    "request_cancel_activity": ("activity", "seq"),
    "cancel_child_workflow_execution": ("child", "child_workflow_seq"),
    "cancel_signal_workflow": ("signal", "seq"),
    "request_cancel_nexus_operation": ("nexus", "seq"),
}
_RESOLVES = {
    "fire_timer": "timer",
    "resolve_activity": "activity",
    "resolve_child_workflow_execution": "child",
    "resolve_nexus_operation": "nexus",
}
_CHECKS, _UPSERTS, _REORDERS, _NEXUS_CHECKS = 1, 2, 3, 4


@dataclass
class TapeCommand:
    """One command on its way."""

    command: Command
    abandoned: bool = False
    """Its cancel is not told to anybody."""
    sent: bool = False
    dropped: bool = False
    resolved: bool = False
    from_core: bool = False


@dataclass
class TapeMatcher:
    """The commands of one run against its events."""

    record: RecordedHistory
    strict: bool = True
    """Whether names and ids are compared even where the record does not ask for it."""
    pairs: MatchedPairs = field(default_factory=MatchedPairs)
    translator: CommandTranslator = field(default_factory=CommandTranslator)
    waiting: deque[TapeCommand] = field(default_factory=deque)
    _open: dict[tuple[str, int], TapeCommand] = field(default_factory=dict)
    _local: dict[int, Command] = field(default_factory=dict)
    _patches: set[str] = field(default_factory=set)
    _accepted: set[str] = field(default_factory=set)
    _timers: dict[int, Command] = field(default_factory=dict)

    def tell(self, jobs: Iterable[Any]) -> None:
        """Note what an activation is about to tell the code: what is over cannot be cancelled any more."""
        for job in jobs:
            self.translator.translate_job(job)
            kind = _RESOLVES.get(job.WhichOneof("variant") or "")
            if kind is not None:
                entry = self._open.get((kind, getattr(job, job.WhichOneof("variant")).seq))
                if entry is not None:
                    entry.resolved = True

    def issue(
        self, commands: Iterable[Any], sites: Iterable[CallSite | None], event_id: int, replaying: bool
    ) -> list[Command]:
        """Take the commands of one activation; their values, in order."""
        made, entries = [], []
        for command, site in zip(commands, sites, strict=True):
            value = self.translator.translate_command(command, site)
            made.append(value)
            entries += self._entries(command, value, event_id, replaying)
        self.waiting.extend(self._in_order(entries, event_id, replaying))
        return made

    def _entries(self, command: Any, value: Command, event_id: int, replaying: bool) -> list[TapeCommand]:
        variant = command.WhichOneof("variant")
        message = getattr(command, variant)
        if variant in _CANCELS:
            kind, attribute = _CANCELS[variant]
            return self._cancel(self._open.get((kind, getattr(message, attribute))), variant, value)
        if variant == "schedule_local_activity":
            self._local[message.seq] = value
        if variant in _NEVER_SENT or (variant == "update_response" and not self._is_answer(message)):
            return []
        if variant == "set_patch_marker":
            return self._patch(value, event_id, replaying)
        entry = TapeCommand(value, abandoned=_is_abandoned(variant, message))
        if variant in _OPENS:
            self._open[_OPENS[variant], message.seq] = entry
        return [entry]

    def _is_answer(self, message: Any) -> bool:
        """Whether the record hears of this: a rejection does only after the update was accepted."""
        if message.WhichOneof("response") == "accepted":
            self._accepted.add(message.protocol_instance_id)
            return True
        return message.protocol_instance_id in self._accepted

    def _cancel(self, target: TapeCommand | None, variant: str, value: Command) -> list[TapeCommand]:
        if target is None or target.resolved or target.dropped:
            return []
        if not target.sent:
            target.dropped = True
            return []
        if target.abandoned or variant == "cancel_signal_workflow":
            return []
        if variant == "cancel_child_workflow_execution":
            child = str(target.command.fields.get("workflowId", ""))
            value = Command("cancel_workflow", child, {"workflowExecution": child}, value.call_site)
        return [TapeCommand(value)]

    def _patch(self, value: Command, event_id: int, replaying: bool) -> list[TapeCommand]:
        if value.name in self._patches:
            return []
        self._patches.add(value.name)
        entries = [TapeCommand(value)]
        if self._flag(_UPSERTS, event_id):
            upsert = Command("search_attributes", "", {"patch": value.name}, value.call_site)
            entries.append(TapeCommand(upsert, from_core=True))
        return entries

    def _flag(self, flag: int, event_id: int) -> bool:
        """Whether a flag is in force: the task that closes behind this event brings its own."""
        first = self.record.core_flags.get(flag)
        return first is not None and first <= event_id + 1

    def _in_order(self, entries: list[TapeCommand], event_id: int, replaying: bool) -> list[TapeCommand]:
        """The end of the workflow goes last, or cuts off what comes behind it, as the record's age asks."""
        ends = [index for index, one in enumerate(entries) if one.command.kind in TERMINAL]
        if not ends:
            return entries
        if replaying and not self._flag(_REORDERS, event_id):
            return entries[: ends[0] + 1]
        return [one for one in entries if one.command.kind not in TERMINAL] + [entries[ends[0]]]

    def take(self, expected: ExpectedEvent) -> Mismatch | None:
        """Match one event; None is good news."""
        special = _SPECIAL.get(expected.kind)
        if special is not None:
            return special(self, expected)
        return self._take_front(expected)

    def _front(self, *, past_patches: bool = True) -> TapeCommand | None:
        while self.waiting:
            front = self.waiting[0]
            if not front.dropped and not (past_patches and front.command.kind == "patch"):
                return front
            self.waiting.popleft()
        return None

    def _take_front(self, expected: ExpectedEvent) -> Mismatch | None:
        front = self._front()
        if front is None:
            return Mismatch(expected, None)
        actual = front.command
        if actual.kind != expected.kind:
            return Mismatch(expected, actual)
        found = differing_fields(expected.fields, actual.fields, BY_KIND[expected.kind].identity)
        if found and (self.strict or self._is_checked(expected)):
            return Mismatch(expected, actual, found, not self._is_checked(expected))
        self.waiting.popleft()
        front.sent = True
        if expected.kind == "timer":
            self._timers[expected.event_id] = actual
        if not front.from_core:
            self.pairs.add_pair(expected, actual)
        return None

    def _is_checked(self, expected: ExpectedEvent) -> bool:
        """Whether the core itself would look at names and ids here; in its last stretch it does so in any case."""
        flag = _NEXUS_CHECKS if expected.kind == "nexus_operation" else _CHECKS
        closing = self.record.last_completed_task_id
        return self._flag(flag, expected.event_id) or expected.event_id > closing > 0

    def _local_marker(self, expected: ExpectedEvent) -> Mismatch | None:
        actual = self._local.get(expected.fields["seq"])
        if actual is None:
            front = self._front()
            return Mismatch(expected, front.command if front else None)
        found = differing_fields(expected.fields, actual.fields, BY_KIND["local_activity"].identity)
        if found and (self.strict or self._flag(_CHECKS, expected.event_id)):
            return Mismatch(expected, actual, found, not self._flag(_CHECKS, expected.event_id))
        self.pairs.add_pair(expected, actual)
        return None

    def _patch_marker(self, expected: ExpectedEvent) -> Mismatch | None:
        front = self._front(past_patches=False)
        if front is not None and front.command.kind == "patch" and front.command.name == expected.name:
            self.waiting.popleft()
            self.pairs.add_pair(expected, front.command)
            return None
        if expected.fields.get("deprecated"):
            return None
        return Mismatch(expected, front.command if front else None)

    def _upsert(self, expected: ExpectedEvent) -> Mismatch | None:
        """The upsert that goes with a deprecated patch needs no command."""
        before = self.record.events_by_id.get(expected.event_id - 1)
        names = expected.fields.get("searchAttributes") or {}
        follows = before is not None and before.event_type == "MarkerRecorded" and SEARCH_ATTRIBUTE_OF_PATCHES in names
        if follows and self._marker_was_skipped(expected.event_id - 1):
            return None
        return self._take_front(expected)

    def _marker_was_skipped(self, event_id: int) -> bool:
        last = self.pairs.matched[-1].expected if self.pairs.matched else None
        if last is not None and last.event_id == event_id:
            return False
        marker = self.record.expected_command(self.record.events_by_id[event_id])
        return marker.kind == "patch" and bool(marker.fields.get("deprecated"))

    def _fired(self, expected: ExpectedEvent) -> Mismatch | None:
        """A timer is known by its id only when it fires."""
        started = int(self.record.event_attributes(expected.event_id).get("startedEventId") or 0)
        actual = self._timers.get(started)
        if actual is None or actual.name == expected.fields.get("timerId"):
            return None
        return Mismatch(expected, actual, ("timerId",))

    def leftovers(self) -> list[Command]:
        """What waits still, now that the record has nothing more to say."""
        return [
            one.command for one in self.waiting if not one.dropped and not one.from_core and one.command.kind != "patch"
        ]


_NEVER_SENT = {"schedule_local_activity", "request_cancel_local_activity", "respond_to_query"}
_SPECIAL: dict[str, Callable[[TapeMatcher, ExpectedEvent], Mismatch | None]] = {
    "local_activity": TapeMatcher._local_marker,
    "patch": TapeMatcher._patch_marker,
    "search_attributes": TapeMatcher._upsert,
    "timer_fired": TapeMatcher._fired,
}


def _is_abandoned(variant: str, message: Any) -> bool:
    return variant in _ABANDON and message.cancellation_type == _ABANDON[variant]
