"""Say what to do about a failed workflow task, where the SDK's message does not."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

from replaytool.model.verdict import CallSite, Failure
from replaytool.replay import call_site as callsite

_RESTRICTED = re.compile(r"Cannot access ([\w.]+?)(?:\.__call__)? from inside a workflow")
_MISSING = re.compile(r"(\w+)\.(\w+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.+)")
_PYDANTIC = re.compile(r"^([\w.\[\]]+)\n\s+Field required", re.MULTILINE)
_UNKNOWN_ENCODING = "Unknown payload encoding"
_NEEDS_CONVERTER = (_UNKNOWN_ENCODING, "is not JSON serializable")
CONVERTER = "Pass the workflows' DataConverter: --converter MODULE:ATTRIBUTE"
_SUBCLASS = ".__mro_entries__"
"""What the sandbox refuses where a module defines a subclass of a restricted class."""
_INSTEAD = {
    "datetime.datetime": "workflow.now()",
    "datetime.date": "workflow.now().date()",
    "time.sleep": "await workflow.sleep(…)",
    "time": "workflow.time()",
    "random": "workflow.random()",
    "secrets": "workflow.random()",
    "os.urandom": "workflow.random()",
    "uuid": "workflow.uuid4()",
}


def advise_on_failure(failure: Failure, workflow: Any, *, has_converter: bool = False) -> Failure:
    """Return the failure with its advice, and with the line of a function that needs one more argument.

    `has_converter` says that the user named a converter: it is the one that cannot read the value.
    """
    said = failure.message
    if failure.type == "NotRegistered" and workflow is None:
        recorded = re.search(r"workflow type '([^']+)'", said)
        return replace(
            failure, advice=f"Keep the recorded name: @workflow.defn(name={recorded[1]!r})" if recorded else ""
        )
    if restricted := _RESTRICTED.search(said):
        return replace(failure, advice=_advise_on_restricted_call(restricted[1]))
    if missing := _MISSING.search(said):
        return _advise_on_missing_argument(failure, missing, workflow)
    if fields := _PYDANTIC.findall(said):
        return replace(
            failure,
            advice=f"The recorded value has no field {fields[0]!r}. Give the field a default: old values lack it",
        )
    if has_converter and _UNKNOWN_ENCODING in said:
        advice = "The configured converter cannot read this value. Keep the codec that wrote it until the runs close"
        return replace(failure, advice=advice)
    if any(text in said for text in _NEEDS_CONVERTER):
        return replace(
            failure, advice=f"{CONVERTER}; for pydantic: temporalio.contrib.pydantic:pydantic_data_converter"
        )
    return failure


def _advise_on_restricted_call(name: str) -> str:
    if name.endswith(_SUBCLASS):
        owner = name.removesuffix(_SUBCLASS)
        return f"Import the module with the subclass of {owner} inside `workflow.unsafe.imports_passed_through()`"
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if found := _INSTEAD.get(".".join(parts[:length])):
            return f"A workflow must not call {name}: it differs in each replay. Use {found}"
    return f"A workflow must not call {name.replace('__builtins__.', '')}: call it in an activity"


def _advise_on_missing_argument(failure: Failure, missing: re.Match[str], workflow: Any) -> Failure:
    owner, function, arguments = missing.groups()
    arguments = arguments.rstrip(")")
    if function == "__init__" and workflow is not None and owner != workflow.__name__:
        advice = f"The recorded value has no field {arguments}. Give the field of {owner} a default: old values lack it"
        return replace(failure, advice=advice)
    advice = f"{owner}.{function} needs {arguments}, which recorded calls do not give. Give it a default"
    return replace(failure, advice=advice, call_site=failure.call_site or _find_method(workflow, function))


def _find_method(workflow: Any, name: str) -> CallSite | None:
    method = inspect.unwrap(getattr(workflow, name, None) or workflow)
    return callsite.site_of_class(method) if method is not None else None
