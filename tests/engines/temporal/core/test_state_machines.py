"""The tables of the state machines: what the type checker cannot see in them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import get_type_hints

import pytest

from replaytool.engines.temporal.core import state_machines
from replaytool.engines.temporal.core.state_machines.base import ABANDON, CANCEL, SENT, StateMachine, transitions
from replaytool.engines.temporal.events.decoding import RECORDS

for found in pkgutil.iter_modules(state_machines.__path__):
    importlib.import_module(f"{state_machines.__name__}.{found.name}")
MACHINES = StateMachine.__subclasses__()
_RESPONSES = {"accepted", "rejected", "completed"}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_each_action_takes_the_struct_of_its_event(machine: type[StateMachine]) -> None:
    for state, rows in machine.TABLE.items():
        for trigger, (_, action) in rows.items():
            if action is None or trigger in (CANCEL, ABANDON):
                continue
            taken = get_type_hints(action)["event"]
            assert RECORDS[trigger] is taken, f"{state}: {trigger} is decoded to {RECORDS[trigger]}"


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_each_state_can_be_reached_and_each_trigger_exists(machine: type[StateMachine]) -> None:
    targets = {target for rows in machine.TABLE.values() for target, _ in rows.values()}
    assert machine.FIRST in machine.TABLE
    assert {*RECORDS, SENT, CANCEL, ABANDON, *_RESPONSES} >= machine.HANDLES
    if machine.__name__ != "LocalActivityMachine":  # its look-ahead sets states outside of the table
        assert set(machine.TABLE) == {machine.FIRST, *targets}


def test_two_transitions_of_one_trigger_are_refused() -> None:
    with pytest.raises(AssertionError, match="two transitions for Cancel in state A"):
        transitions(("A", CANCEL, "B"), ("A", CANCEL, "A"))
