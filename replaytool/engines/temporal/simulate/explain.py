"""Add to a verdict what the edit did, and what to do about it. The verdict itself stays as it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import select_events
from replaytool.engines.temporal.events.labels import decode_attributes, find_update_request
from replaytool.engines.temporal.replay.direct import find_handover_reason
from replaytool.engines.temporal.replay.failure_advice import advise_on_failure
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.sdk.private import WorkflowDefinition
from replaytool.engines.temporal.simulate.after_mismatch import StepsOfTask, list_steps_of_task
from replaytool.model.history import Run
from replaytool.model.simulation import Decision
from replaytool.model.verdict import Divergence, ExpectedEvent, Verdict
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.advice import DivergenceScene, MissingHandler, advise_on_divergence, source_of_site
from replaytool.replay.compare.code_search import find_call_texts, is_called_in_user_code, is_defined_in_user_code
from replaytool.replay.compare.edits import Edit, count_common_steps, find_edit
from replaytool.replay.options import Options

_ALIKE = 0.6
_SETTERS = ("set_signal_handler", "set_dynamic_signal_handler", "set_update_handler", "set_dynamic_update_handler")


def explain_verdict(verdict: Verdict, run: Run, code: Code, options: Options) -> Verdict:
    """Return the verdict with the edit and the advice in its divergence, or the advice in its failure."""
    if verdict.divergence is not None:
        return replace(verdict, divergence=_explain_divergence(verdict.divergence, run, code, options))
    if verdict.failure is None:
        return verdict
    has_converter = "data_converter" in code.settings
    told = advise_on_failure(verdict.failure, code.workflow_class(run.workflow_type), has_converter=has_converter)
    return replace(verdict, failure=told)


def _explain_divergence(found: Divergence, run: Run, code: Code, options: Options) -> Divergence:
    expected = found.expected or ExpectedEvent(found.event_id, "", "", "")
    recorded = [one.name for one in RecordedHistory(run).recorded_commands() if one.kind == "patch"]
    scene = DivergenceScene(
        expected,
        found.actual,
        _align_steps(found, run, code, options),
        found.differing,
        source_of_site(found.call_site),
        _find_missing_handler(run, code, found.event_id),
        frozenset(recorded),
        find_call_texts(("patched", "deprecate_patch"), _list_files(code)),
    )
    told = advise_on_divergence(scene)
    return replace(found, advice=told.text, edit=told.edit)


def _align_steps(found: Divergence, run: Run, code: Code, options: Options) -> Edit | None:
    if find_handover_reason(run, code) is not None:
        return None
    try:
        steps = list_steps_of_task(run, code, options, found.event_id, takes_next=False)
        if steps.fails or _count_common(steps) < len(steps.recorded) - 1:
            other = list_steps_of_task(run, code, options, found.event_id, takes_next=True)
            if (not other.fails, _count_common(other)) > (not steps.fails, _count_common(steps)):
                steps = other
    except Exception:
        return None  # the code was given guessed results: what it does with them says nothing about the verdict
    asked = found.actual
    if asked is not None and asked.kind not in {one.kind for one in steps.produced}:
        return None  # it got no result, so that nobody knows what follows it
    return find_edit(steps.recorded, steps.produced, partial(_is_known_step, _list_files(code)))


def _count_common(steps: StepsOfTask) -> int:
    return count_common_steps(steps.recorded, steps.produced)


def _is_known_step(files: tuple[str, ...], step: Decision) -> bool:
    return is_called_in_user_code(step.name, files) or is_defined_in_user_code(step.name, files)


def _list_files(code: Code) -> tuple[str, ...]:
    return tuple(sorted(code.info.files.values()))


def _find_missing_handler(run: Run, code: Code, event_id: int) -> MissingHandler | None:
    """Return the first signal or update before the mismatch, or at it, that the code has no handler for."""
    if any(is_called_in_user_code(setter, _list_files(code)) for setter in _SETTERS):
        return None
    definition = WorkflowDefinition.must_from_class(code.workflow_class(run.workflow_type))
    handlers = {"signal": set(definition.signals), "update": set(definition.updates)}
    called = _list_calls(run, event_id)
    for kind, name in called:
        known = handlers[kind]
        if name in known or None in known or name.startswith("__temporal"):
            continue
        mine = {other for word, other in called if word == kind}
        unused = tuple(sorted(one for one in known if one is not None and one not in mine))
        similar = difflib.get_close_matches(name, unused, n=1, cutoff=_ALIKE)
        return MissingHandler(kind, name, similar[0] if similar else "", unused)
    return None


def _list_calls(run: Run, event_id: int) -> list[tuple[str, str]]:
    found = []
    for event in select_events(run.events, {types.SIGNALED, types.ACCEPTED}.__contains__):
        if event.event_id <= event_id:
            said: Mapping[str, Any] = decode_attributes(event)
            name = said.get("signalName") or (find_update_request(said).get("input") or {}).get("name")
            found.append(("signal" if event.event_type == types.SIGNALED else "update", str(name or "")))
    return [one for one in dict.fromkeys(found) if one[1]]
