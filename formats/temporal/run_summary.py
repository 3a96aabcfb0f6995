"""From the events of one history to a `Run`: who it is, how it ended, and what is odd about the record."""

from __future__ import annotations

import re
from typing import Any

from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.canonical_events import EventList, attributes
from replaytool.model.history import Event, Hints, Problem, Run

ENGINE = "temporal"
_HIGHEST_ID = 2**31 - 1
_CLOSING = {
    "WorkflowExecutionCompleted": "Completed",
    "WorkflowExecutionFailed": "Failed",
    "WorkflowExecutionCanceled": "Canceled",
    "WorkflowExecutionTerminated": "Terminated",
    "WorkflowExecutionTimedOut": "TimedOut",
    "WorkflowExecutionContinuedAsNew": "ContinuedAsNew",
}
_DEFAULT_BUILD = re.compile(r"[0-9a-f]{32}")


def build_run(gathered: EventList, format_name: str, wrapper: Hints, hints: Hints) -> Run:
    """The run that these events record. `wrapper` is what the file says around them, `hints` what its name says."""
    gathered.events, problems = _in_order(gathered)
    events = gathered.events
    if events[-1].event_id > _HIGHEST_ID:
        raise Unreadable(f"an event with the id {events[-1].event_id}", "no engine counts that far")
    started = _started(gathered)
    reset = _last_reset(gathered)
    run_id, run_id_from = _run_id(wrapper, reset, started, hints)
    written = _text(started.get("workflowId"))
    told = (hints.workflow_id,) if hints.is_certain else ()
    workflow_id = next(filter(None, (*told, wrapper.workflow_id, written, hints.workflow_id)), None)
    completed = _completions(gathered)
    problems += _problems(events, completed, run_id, workflow_id)
    return Run(
        engine=ENGINE,
        format=format_name,
        events=events,
        workflow_type=_name(started.get("workflowType")),
        status=_CLOSING.get(events[-1].event_type, "Running"),
        run_id_from=run_id_from,
        sha256=gathered.digest(),
        namespace=wrapper.namespace or hints.namespace,
        workflow_id=workflow_id,
        run_id=run_id,
        task_queue=_name(started.get("taskQueue")) or None,
        parent_workflow_id=_in(started, "parentWorkflowExecution", "workflowId"),
        first_run_id=_text(started.get("firstExecutionRunId")),
        continued_run_id=_text(started.get("continuedExecutionRunId")),
        reset_from_run_id=_text(reset.get("baseRunId")),
        sdk_name=_latest(completed, "sdkName"),
        sdk_version=_latest(completed, "sdkVersion"),
        problems=(*gathered.notes.values(), *problems),
    )


def is_closing(event: Event) -> bool:
    """Whether nothing can come behind this event."""
    return event.event_type in _CLOSING


def _in_order(gathered: EventList) -> tuple[list[Event], list[Problem]]:
    """The events by their ids; the UI's newest-first order is turned round."""
    ids = [event.event_id for event in gathered.events]
    if ids == sorted(ids):
        return gathered.events, []
    gathered.is_hashed = False
    order = sorted(range(len(ids)), key=ids.__getitem__)
    gathered.parsed = {new: gathered.parsed[old] for new, old in enumerate(order) if old in gathered.parsed}
    code = "descending" if ids == sorted(ids, reverse=True) else "disordered"
    problem = Problem(code, f"the events were in {code} order and were sorted by their ids")
    return [gathered.events[index] for index in order], [problem]


def _started(gathered: EventList) -> dict[str, Any]:
    return attributes(gathered.parsed[0]) if 0 in gathered.parsed else {}


def _last_reset(gathered: EventList) -> dict[str, Any]:
    """What the newest reset in this history wrote; its new run is this one."""
    for event in reversed(gathered.parsed.values()):
        if event.get("eventType") == "EVENT_TYPE_WORKFLOW_TASK_FAILED" and _text(attributes(event).get("newRunId")):
            return attributes(event)
    return {}


def _run_id(wrapper: Hints, reset: dict[str, Any], started: dict[str, Any], hints: Hints) -> tuple[str | None, str]:
    for found, source in (
        (hints.run_id if hints.is_certain else None, "server"),
        (wrapper.run_id, "wrapper"),
        (_text(reset.get("newRunId")), "reset event"),
        (_text(started.get("originalExecutionRunId")), "started event"),
        (hints.run_id, "file name"),
    ):
        if found:
            return found, source
    return None, "none"


def _completions(gathered: EventList) -> list[dict[str, Any]]:
    return [
        attributes(event)
        for event in gathered.parsed.values()
        if event.get("eventType") == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"
    ]


def _latest(completed: list[dict[str, Any]], name: str) -> str | None:
    """The server writes SDK metadata only when it changes."""
    for one in reversed(completed):
        if found := _in(one, "sdkMetadata", name):
            return found
    return None


def _problems(
    events: list[Event], completed: list[dict[str, Any]], run_id: str | None, workflow_id: str | None
) -> list[Problem]:
    problems = _gaps(events)
    has_flags = any(_flags(one) for one in completed)
    if not has_flags and any(event.event_type == "WorkflowTaskCompleted" for event in events):
        problems.append(
            Problem("blind", "no SDK flags are recorded: the SDK's own replayer skips checks on such a history")
        )
    if any(build and _DEFAULT_BUILD.fullmatch(build) for build in {event.build_id for event in events}):
        problems.append(
            Problem(
                "hash-build-id",
                "no build id was set: the SDK's default is a hash that cannot tell versions of the code apart",
            )
        )
    if not run_id:
        problems.append(Problem("no-run-id", "neither the file nor its name says which run this is"))
    if not workflow_id:
        problems.append(Problem("no-workflow-id", "the workflow id is recorded nowhere in the file"))
    return problems


def _gaps(events: list[Event]) -> list[Problem]:
    is_dense = [event.event_id for event in events] == list(range(1, len(events) + 1))
    if is_dense and None not in [event.event_time for event in events]:
        return []
    problems = []
    previous = 0
    for event in events:
        if event.event_id == previous:
            problems.append(Problem("duplicate-event-id", f"event id {previous} is there twice", previous))
        elif event.event_id != previous + 1:
            missing = f"{previous + 1}" if event.event_id == previous + 2 else f"{previous + 1} to {event.event_id - 1}"
            problems.append(Problem("missing-event-id", f"missing: {missing}", event.event_id))
        if event.event_time is None:
            problems.append(Problem("no-event-time", "the event has no time", event.event_id))
        previous = event.event_id
    return problems[:20]


def _flags(completed: dict[str, Any]) -> bool:
    metadata = completed.get("sdkMetadata")
    return isinstance(metadata, dict) and bool(metadata.get("coreUsedFlags") or metadata.get("langUsedFlags"))


def _name(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and isinstance(value.get("name"), str) else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _in(holder: dict[str, Any], key: str, name: str) -> str | None:
    inner = holder.get(key)
    return _text(inner.get(name)) if isinstance(inner, dict) else None
