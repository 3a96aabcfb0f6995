"""What the installed SDK knows about history events, as two views of one protobuf descriptor.

`event_struct()` is a struct type: msgspec converts an event into it in one call in C, and fails on whatever the SDK
does not know. Nearly every event takes this fast path. `message_schema()` has the same knowledge as tables for the
slow path (`old_spellings`), which repairs old spellings and reports what it does not know.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, cached_property
from types import GenericAlias, ModuleType
from typing import Any, ForwardRef, Literal, Protocol, Union

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from temporalio.api.history.v1 import message_pb2

HISTORY_EVENT = message_pb2.HistoryEvent.DESCRIPTOR
PAYLOAD = "temporal.api.common.v1.Payload"
PAYLOADS = "temporal.api.common.v1.Payloads"

_SCALARS: dict[int, object] = {
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_BYTES: bytes,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_FLOAT: float,
    FieldDescriptor.TYPE_INT32: int,
    FieldDescriptor.TYPE_SINT32: int,
    FieldDescriptor.TYPE_UINT32: int,
    FieldDescriptor.TYPE_INT64: str,  # as proto JSON spells it: a double is exact only up to 2^53
    FieldDescriptor.TYPE_UINT64: str,
    FieldDescriptor.TYPE_STRING: str,
}
_SPELLED_AS_TEXT = {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}


def fold_spelling(name: str) -> str:
    """Return what all spellings of a name share: event_id, eventId and EVENT_ID are one name."""
    return name.replace("_", "").lower()


@dataclass(frozen=True)
class SchemaEnum:
    """An enum, by every spelling of its values."""

    descriptor: EnumDescriptor

    @cached_property
    def names_by_spelling(self) -> dict[str, str]:
        """Canonical names by spelling: with and without the enum's prefix, in any case."""
        canonical = [value.name for value in self.descriptor.values]
        prefix = fold_spelling(_to_snake_case(self.descriptor.name))
        spelled = {fold_spelling(name): name for name in canonical}
        return {spelling.removeprefix(prefix): name for spelling, name in spelled.items()} | spelled

    def canonical_name(self, value: object) -> str | None:
        """Return the value as the SDK spells it, or None if it is unknown."""
        # True is 1 for Python, and would become the enum's value 1.
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            known = self.descriptor.values_by_number.get(value)
            return known.name if known else None
        return self.names_by_spelling.get(fold_spelling(value)) if isinstance(value, str) else None


@dataclass(frozen=True)
class SchemaField:
    """One field of a message."""

    name: str
    descriptor: FieldDescriptor

    @cached_property
    def value_message(self) -> SchemaMessage | None:
        """The schema of its values, if they are messages that JSON does not write as text."""
        kind = self.descriptor.message_type
        if kind is None or kind.full_name in _SPELLED_AS_TEXT or kind.full_name.startswith("google."):
            return None
        if self.is_map:
            kind = kind.fields_by_name["value"].message_type
        return message_schema(kind) if kind is not None else None

    @cached_property
    def value_enum(self) -> SchemaEnum | None:
        """The enum of its values."""
        return SchemaEnum(self.descriptor.enum_type) if self.descriptor.enum_type else None

    @property
    def is_map(self) -> bool:
        """Return whether it maps names to values."""
        kind = self.descriptor.message_type
        return kind is not None and _is_map_entry(kind)

    @property
    def is_duration(self) -> bool:
        """Return whether its values are durations. Old histories write them as numbers of seconds."""
        kind = self.descriptor.message_type
        return kind is not None and kind.full_name == "google.protobuf.Duration"

    @property
    def is_list(self) -> bool:
        """Return whether it is a list."""
        return _is_repeated(self.descriptor) and not self.is_map


@dataclass(frozen=True)
class SchemaMessage:
    """A message: its fields by all their spellings."""

    name: str
    fields: dict[str, SchemaField]


@cache
def message_schema(descriptor: Descriptor = HISTORY_EVENT) -> SchemaMessage:
    """Return the schema of one message; the keys of its fields are folded spellings."""
    fields = [SchemaField(field.camelcase_name, field) for field in descriptor.fields]
    return SchemaMessage(descriptor.full_name, {fold_spelling(field.name): field for field in fields})


def _is_map_entry(kind: Descriptor) -> bool:
    """Return whether fields of this type are maps.

    Reading the options instead would import all of protobuf's own descriptors.
    """
    return kind.has_options and set(kind.fields_by_name) == {"key", "value"}


def _to_snake_case(pascal: str) -> str:
    return "".join("_" + char if char.isupper() else char for char in pascal)


def _is_repeated(field: FieldDescriptor) -> bool:
    # `is_repeated` is new in protobuf 6; the SDK also allows protobuf 5.
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else getattr(field, "label") == 3  # noqa: B009


# msgspec resolves forward references between structs in the module that they name.
_structs = ModuleType(f"{__name__}.structs")
sys.modules[_structs.__name__] = _structs


class EventStruct(Protocol):
    """An event as msgspec decodes it. Its other fields are the attributes of each event type."""

    event_id_: str
    event_type_: str
    event_time_: str


@cache
def event_struct() -> type[EventStruct]:
    """Return the struct type of an event, built once and only if a history is loaded."""
    _build_struct(HISTORY_EVENT)
    struct: type[EventStruct] = getattr(_structs, _struct_name(HISTORY_EVENT))
    return struct


def _struct_name(descriptor: Descriptor) -> str:
    return descriptor.full_name.replace(".", "_")


def _build_struct(descriptor: Descriptor) -> object:
    name = _struct_name(descriptor)
    if not hasattr(_structs, name):
        setattr(_structs, name, None)  # a message may contain itself
        struct = msgspec.defstruct(
            name,
            [(f"{field.name}_", _make_optional(_field_type(field)), msgspec.UNSET) for field in descriptor.fields],
            forbid_unknown_fields=True,
            gc=False,
            omit_defaults=True,
            module=_structs.__name__,
            rename={f"{f.name}_": f.camelcase_name for f in descriptor.fields},
        )
        setattr(_structs, name, struct)
    return getattr(_structs, name) or ForwardRef(name)


def _make_optional(kind: object) -> object:
    return Union[kind, None, msgspec.UnsetType]  # noqa: UP007 (a forward reference knows no |)


def _field_type(field: FieldDescriptor) -> object:
    if field.message_type is not None and _is_map_entry(field.message_type):
        return dict[str, _value_type(field.message_type.fields_by_name["value"])]  # type: ignore[misc]
    kind = _value_type(field)
    return GenericAlias(list, (kind,)) if _is_repeated(field) else kind


def _value_type(field: FieldDescriptor) -> object:
    if field.enum_type is not None:
        return Literal[tuple(value.name for value in field.enum_type.values)]
    if field.message_type is None:
        return _SCALARS[field.type]
    if field.message_type.full_name in _SPELLED_AS_TEXT:
        return str
    if field.message_type.full_name.startswith("google."):
        return Any
    return _build_struct(field.message_type)
