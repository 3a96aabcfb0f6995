"""Build a `Run` from the events of one history: its IDs, its status, and the problems in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.canonical_events import HistoryBuilder, find_attributes
from replaytool.model.build_ids import read_deployment_name
from replaytool.model.history import BuildUse, Event, Problem, Run, RunHints

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
_TASK_COMPLETED, _ACTIVITY_STARTED = "WorkflowTaskCompleted", "ActivityTaskStarted"
_DEFAULT_BUILD = re.compile(r"[0-9a-f]{32}")


def build_run(gathered: HistoryBuilder, format_name: str, wrapper: RunHints, hints: RunHints) -> Run:
    """Build the run. `wrapper` holds IDs from around the events, `hints` IDs from the file's name."""
    gathered.withdraw_inferred_types()
    gathered.events, problems = _sort_events(gathered)
    events = gathered.events
    if events[-1].event_id > _HIGHEST_ID:
        raise Unreadable(
            f"an event with the ID {events[-1].event_id}",
            "event IDs are below 2^31: check the export",
            code=ErrorCode.FORMAT_EVENT_ID,
        )
    started = _start_attributes(gathered)
    reset = _last_reset_attributes(gathered)
    run_id, run_id_from = _find_run_id(wrapper, reset, started, hints)
    written = _read_text(started.get("workflowId"))
    told = (hints.workflow_id,) if hints.is_certain else ()
    workflow_id = next(filter(None, (*told, wrapper.workflow_id, written, hints.workflow_id)), None)
    completed = _completion_attributes(gathered)
    problems += _find_problems(events, completed, run_id, workflow_id)
    builds = [event.build_id for event in events if event.build_id and event.event_type == _TASK_COMPLETED]
    return Run(
        engine=ENGINE,
        format=format_name,
        events=events,
        workflow_type=_read_name(started.get("workflowType")),
        status=_CLOSING.get(events[-1].event_type, "Running"),
        run_id_from=run_id_from,
        sha256=gathered.hash_history(),
        namespace=wrapper.namespace or hints.namespace,
        workflow_id=workflow_id,
        run_id=run_id,
        task_queue=_read_name(started.get("taskQueue")) or None,
        parent_workflow_id=_read_inner_text(started, "parentWorkflowExecution", "workflowId"),
        first_run_id=_read_text(started.get("firstExecutionRunId")),
        continued_run_id=_read_text(started.get("continuedExecutionRunId")),
        reset_from_run_id=_read_text(reset.get("baseRunId")),
        sdk_name=_latest_sdk_value(completed, "sdkName"),
        sdk_version=_latest_sdk_value(completed, "sdkVersion"),
        first_build=builds[0] if builds else None,
        last_build=builds[-1] if builds else None,
        builds=_summarize_builds(events),
        problems=(*gathered.notes.values(), *problems),
    )


def _summarize_builds(events: Sequence[Event]) -> tuple[BuildUse, ...]:
    """Return what each build did. A load calls this for each run, so it passes once over the events."""
    first: dict[str, str | None] = {}
    last: dict[str, str | None] = {}
    deployments: dict[str, str] = {}
    tasks: list[str] = []
    activities: list[str] = []
    for event in events:
        build = event.build_id
        if build is None:
            continue
        if build not in first:
            first[build] = event.event_time
        last[build] = event.event_time
        if event.event_type == _TASK_COMPLETED:
            tasks.append(build)
            if build not in deployments and (name := _deployment_name_of(event.raw)):
                deployments[build] = name
        elif event.event_type == _ACTIVITY_STARTED:
            activities.append(build)
    completed, ran = Counter(tasks), Counter(activities)
    return tuple(BuildUse(one, deployments.get(one), completed[one], ran[one], first[one], last[one]) for one in first)


def _deployment_name_of(raw: bytes) -> str | None:
    if b"eploymentName" not in raw:
        return None
    return read_deployment_name(msgspec.json.decode(raw).get("workflowTaskCompletedEventAttributes"))


def is_closing_event(event: Event) -> bool:
    """Return whether no event can follow this one."""
    return event.event_type in _CLOSING


def _sort_events(gathered: HistoryBuilder) -> tuple[list[Event], list[Problem]]:
    """Sort the events by ID: the UI exports the newest first."""
    ids = [event.event_id for event in gathered.events]
    if ids == sorted(ids):
        return gathered.events, []
    gathered.is_hashed = False
    order = sorted(range(len(ids)), key=ids.__getitem__)
    gathered.parsed = {new: gathered.parsed[old] for new, old in enumerate(order) if old in gathered.parsed}
    code = "descending" if ids == sorted(ids, reverse=True) else "disordered"
    problem = Problem(code, f"the events were in {code} order and were sorted by their ids")
    return [gathered.events[index] for index in order], [problem]


def _start_attributes(gathered: HistoryBuilder) -> dict[str, object]:
    return find_attributes(gathered.parsed[0]) if 0 in gathered.parsed else {}


def _last_reset_attributes(gathered: HistoryBuilder) -> dict[str, object]:
    """Return the attributes of the newest reset; its new run is this one."""
    for event in reversed(gathered.parsed.values()):
        if event.get("eventType") == "EVENT_TYPE_WORKFLOW_TASK_FAILED" and _read_text(
            find_attributes(event).get("newRunId")
        ):
            return find_attributes(event)
    return {}


def _find_run_id(
    wrapper: RunHints, reset: dict[str, object], started: dict[str, object], hints: RunHints
) -> tuple[str | None, str]:
    for found, source in (
        (hints.run_id if hints.is_certain else None, "server"),
        (wrapper.run_id, "wrapper"),
        # Before the started event: after a reset, that one still holds the ID of the base run.
        (_read_text(reset.get("newRunId")), "reset event"),
        (_read_text(started.get("originalExecutionRunId")), "started event"),
        (hints.run_id, "file name"),
    ):
        if found:
            return found, source
    return None, "none"


def _completion_attributes(gathered: HistoryBuilder) -> list[dict[str, object]]:
    return [
        find_attributes(event)
        for event in gathered.parsed.values()
        if event.get("eventType") == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"
    ]


def _latest_sdk_value(completed: list[dict[str, object]], name: str) -> str | None:
    """Return the newest value: the server records SDK metadata only when it changes."""
    for one in reversed(completed):
        if found := _read_inner_text(one, "sdkMetadata", name):
            return found
    return None


def _find_problems(
    events: list[Event], completed: list[dict[str, object]], run_id: str | None, workflow_id: str | None
) -> list[Problem]:
    problems = _find_gaps(events)
    has_flags = any(_has_sdk_flags(one) for one in completed)
    if not has_flags and any(event.event_type == _TASK_COMPLETED for event in events):
        problems.append(
            Problem("blind", "no SDK flags are recorded: the SDK's own replayer skips checks for this history")
        )
    if any(build and _DEFAULT_BUILD.fullmatch(build) for build in {event.build_id for event in events}):
        problems.append(
            Problem(
                "hash-build-id",
                "no build ID was set: two versions of the code can share the SDK's default",
            )
        )
    if not run_id:
        problems.append(Problem("no-run-id", "neither the file nor its name has the run ID"))
    if not workflow_id:
        problems.append(Problem("no-workflow-id", "the file has no workflow ID"))
    return problems


def _find_gaps(events: list[Event]) -> list[Problem]:
    is_dense = [event.event_id for event in events] == list(range(1, len(events) + 1))
    if is_dense and None not in [event.event_time for event in events]:
        return []
    problems = []
    previous = 0
    for event in events:
        if event.event_id == previous:
            problems.append(Problem("duplicate-event-id", f"event ID {previous} occurs twice", previous))
        elif event.event_id != previous + 1:
            missing = f"{previous + 1}" if event.event_id == previous + 2 else f"{previous + 1} to {event.event_id - 1}"
            problems.append(Problem("missing-event-id", f"missing: {missing}", event.event_id))
        if event.event_time is None:
            problems.append(Problem("no-event-time", "the event has no time", event.event_id))
        previous = event.event_id
    return problems[:20]


def _has_sdk_flags(completed: dict[str, object]) -> bool:
    metadata = completed.get("sdkMetadata")
    return isinstance(metadata, dict) and bool(metadata.get("coreUsedFlags") or metadata.get("langUsedFlags"))


def _read_name(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and isinstance(value.get("name"), str) else ""


def _read_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_inner_text(holder: dict[str, object], key: str, name: str) -> str | None:
    inner = holder.get(key)
    return _read_text(inner.get(name)) if isinstance(inner, dict) else None
