"""Every name in the tables of event types is a type that the engine decodes."""

from __future__ import annotations

from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.formats.temporal.run_summary import _CLOSING


def test_tables_name_only_known_event_types() -> None:
    tables = (types.FINAL_EVENTS, types.COMMAND_EVENTS, types.BOOKKEEPING, types.REAPPLIED, types.RECEIVED)
    named = {name for table in (*tables, types.PROPERTIES, types.OPENS, types.MOVES) for name in table}
    constants = {
        value for name, value in vars(types).items() if name[0] != "_" and name.isupper() and isinstance(value, str)
    }
    beginnings = {types.TASK, types.ACTIVITY, types.UPDATE, types.CHILD, types.NEXUS}
    assert (named | constants) - beginnings <= RECORDS.keys()
    assert all(any(name.startswith(one) for name in RECORDS) for one in beginnings)


def test_a_status_change_names_the_attribute_that_its_event_has() -> None:
    assert all("of" in RECORDS[name].__struct_fields__ for name in types.MOVES)


def test_formats_and_the_engine_agree_on_closing_events() -> None:
    assert _CLOSING == types.CLOSING_STATUS
