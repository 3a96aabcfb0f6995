"""Explain a result that does not decode: whose it is, in which event, which line waits for it, which field is wrong.

The text holds no recorded values, so that runs with different values have one cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from replaytool.engines.temporal.replay.recorded_commands import JsonObject, RecordedHistory
from replaytool.engines.temporal.sdk.recorder import RecordedActivation, RecordedTape
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite

_COMMANDS = {
    "resolve_activity": ("schedule_activity", "schedule_local_activity"),
    "resolve_child_workflow_execution": ("start_child_workflow_execution",),
    "resolve_nexus_operation": ("schedule_nexus_operation",),
}
_NAMES = ("activity_type", "workflow_type", "operation")
_RESULTS = {
    "schedule_activity": ("activity", "ActivityTaskCompleted", "ActivityTaskScheduled", "activityId"),
    "schedule_local_activity": ("local activity", "MarkerRecorded", "", ""),
    "start_child_workflow_execution": (
        "child workflow",
        "ChildWorkflowExecutionCompleted",
        "StartChildWorkflowExecutionInitiated",
        "workflowId",
    ),
    "schedule_nexus_operation": ("Nexus operation", "NexusOperationCompleted", "", ""),
}
_FIELD = re.compile(r"Failed converting field (\S+) on dataclass ")
_KEY = re.compile(r"Failed converting (?:value for )?key '([^']*)' .*mapping (<class)?")
_INDEX = re.compile(r"Failed converting .* index \d+$")
_MISSING = re.compile(r"missing \d+ required .*?arguments?: (.+)")
_UNEXPECTED = re.compile(r"got an unexpected keyword argument '([^']*)'")
_UNKNOWN_ENCODING = "Unknown payload encoding"
_VALUE = re.compile(
    r"(?<=^Value ).*(?= not in literal values)|(?<= from ).*$|(?<=datetime string: ).*$"
    r"|(?<!class )(?:'[^']*'|\"[^\"]*\")",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class UnreadableResult:
    """A recorded value that the code's types do not accept."""

    message: str
    kind: str
    """The class of the error that the converter raised."""
    call_site: CallSite | None


def explain_unreadable_result(
    record: RecordedHistory, tape: RecordedTape, last: RecordedActivation
) -> UnreadableResult | None:
    """Return what did not decode in the last activation; None if the code failed for another reason."""
    error = last.error
    if not isinstance(error, Exception):
        return None
    if last.refused_result is not None:
        what, event_id, site = _find_origin(record, tape, last)
        what, site = f"the result of {what}", last.awaited_at or site
    elif last.kept_at is not None:
        what, event_id, site = "the workflow's input", 1, last.kept_at
    else:
        return None
    innermost, field, problem = _describe_problem(error)
    at = f" (event {event_id})" if event_id else ""
    named = f"field {field}: " if field else ""
    below = callsite.site_of_exception(error)
    if site is not None and callsite.is_user_site(below) and below is not None:
        site = replace(site, chain=(*site.chain, replace(below, chain=())))
    return UnreadableResult(f"{what}{at} does not decode: {named}{problem}", type(innermost).__name__, site or below)


def _find_origin(
    record: RecordedHistory, tape: RecordedTape, last: RecordedActivation
) -> tuple[str, int | None, CallSite | None]:
    """Return the name of the step whose result the job brings, the event of the result, and the line of the step."""
    job = last.refused_result
    assert job is not None, "the caller has looked"
    variant = str(job.WhichOneof("variant"))
    wanted = getattr(job, variant).seq
    for activation in tape.activations:
        for command, site in zip(activation.commands, activation.sites, strict=False):
            kind = command.WhichOneof("variant")
            if kind not in _COMMANDS.get(variant, ()) or getattr(command, kind).seq != wanted:
                continue
            asked: Any = getattr(command, kind)
            title, ending, beginning, key = _RESULTS[kind]
            name = next(str(getattr(asked, one)) for one in _NAMES if hasattr(asked, one))
            own = {"activityId": getattr(asked, "activity_id", ""), "workflowId": getattr(asked, "workflow_id", "")}
            event_id = _find_result(record, last.event_id, ending, (beginning, key, own.get(key, "")), wanted)
            return f"{title} {name!r}", event_id, site
    return "a step", None, None


def _find_result(
    record: RecordedHistory, until: int, ending: str, begun: tuple[str, str, str], number: int
) -> int | None:
    """Return the event that holds the result of this step: the last one up to the failed task."""
    beginning, key, own = begun
    steps = {
        event.event_id
        for event in record.events
        if beginning and event.event_type == beginning and record.event_attributes(event.event_id).get(key) == own
    }
    for event in reversed(record.events):
        if event.event_type != ending or event.event_id > until:
            continue
        if beginning:
            found = record.event_attributes(event.event_id)
            if _begun_by(found) in steps:
                return event.event_id
        elif ending == "MarkerRecorded" and record.expected_command(event).fields.get("seq") == number:
            return event.event_id
    return None


def _begun_by(found: JsonObject) -> int:
    return int(found.get("scheduledEventId") or found.get("initiatedEventId") or 0)


def _describe_problem(error: BaseException) -> tuple[BaseException, str, str]:
    """Return the innermost error, the path of the field that it is about, and what is wrong, without values."""
    path: list[str] = []
    innermost = error
    for one in _walk_causes(error):
        innermost = one
        path += _read_path(str(one))
        details = _read_details(one)
        if details:
            first = details[0]
            more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
            path += ["*" if isinstance(part, int) else str(part) for part in first.get("loc", ())]
            return one, ".".join(path), f"{_hide_values(str(first.get('msg', '')))}{more}"
    said = str(innermost)
    if isinstance(innermost, KeyError) and _UNKNOWN_ENCODING in said:
        return innermost, ".".join(path), str(innermost.args[0])  # it names the encoding, and holds no value
    if missing := _MISSING.search(said):
        path.append(missing[1].replace("'", ""))
        return innermost, ".".join(path), "missing"
    if unexpected := _UNEXPECTED.search(said):
        path.append(unexpected[1])
        return innermost, ".".join(path), "not expected"
    return innermost, ".".join(path), _hide_values(said) or type(innermost).__name__


def _walk_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _read_path(said: str) -> list[str]:
    if field := _FIELD.search(said):
        return [field[1]]
    if key := _KEY.search(said):
        return [key[1] if key[2] else "*"]
    return ["*"] if _INDEX.search(said) else []


def _read_details(error: BaseException) -> list[dict[str, Any]]:
    """Return what a pydantic ValidationError says of each field; nothing for other errors."""
    read = getattr(error, "errors", None)
    if type(error).__name__ != "ValidationError" or not callable(read):
        return []
    found = read()
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _hide_values(text: str) -> str:
    return _VALUE.sub("…", text.partition("\n")[0])
