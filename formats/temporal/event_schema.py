"""What the installed SDK knows about a history event, as two views of one protobuf description.

`event_struct()` is a struct type: msgspec converts a canonical event into it in one C call, and fails on whatever
the SDK does not know. That is the fast lane, and nearly every event takes it. `schema()` is the same knowledge as
tables, for the slow lane (`temporal_normal`), which repairs old spellings and says what it could not understand.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, cached_property
from types import GenericAlias, ModuleType
from typing import Any, ForwardRef, Literal, Union

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from temporalio.api.history.v1 import message_pb2

HISTORY_EVENT = message_pb2.HistoryEvent.DESCRIPTOR
PAYLOAD = "temporal.api.common.v1.Payload"
PAYLOADS = "temporal.api.common.v1.Payloads"

_SCALARS: dict[int, Any] = {
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_BYTES: bytes,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_FLOAT: float,
    FieldDescriptor.TYPE_INT32: int,
    FieldDescriptor.TYPE_SINT32: int,
    FieldDescriptor.TYPE_UINT32: int,
    FieldDescriptor.TYPE_INT64: str,  # as JSON must spell it: a double holds no more than 2^53
    FieldDescriptor.TYPE_UINT64: str,
    FieldDescriptor.TYPE_STRING: str,
}
_SPELLED_AS_TEXT = {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}


def letters(name: str) -> str:
    """What all spellings of a name share: event_id, eventId and EVENT_ID are one."""
    return name.replace("_", "").lower()


@dataclass(frozen=True)
class Enum:
    """An enum, by every spelling of its values."""

    descriptor: EnumDescriptor

    @cached_property
    def names(self) -> dict[str, str]:
        """Spelling to canonical name: with and without the enum's prefix, in any case."""
        canonical = [value.name for value in self.descriptor.values]
        prefix = letters(_snake(self.descriptor.name))
        spelled = {letters(name): name for name in canonical}
        return {spelling.removeprefix(prefix): name for spelling, name in spelled.items()} | spelled

    def canonical(self, value: object) -> str | None:
        """The value as the SDK spells it, or None where it is unknown."""
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            known = self.descriptor.values_by_number.get(value)
            return known.name if known else None
        return self.names.get(letters(value)) if isinstance(value, str) else None


@dataclass(frozen=True)
class Field:
    """One field of a message: what its values must be."""

    name: str
    descriptor: FieldDescriptor

    @cached_property
    def message(self) -> Message | None:
        """The message that its values are, where they are messages and not text."""
        kind = self.descriptor.message_type
        if kind is None or kind.full_name in _SPELLED_AS_TEXT or kind.full_name.startswith("google."):
            return None
        if self.is_map:
            kind = kind.fields_by_name["value"].message_type
        return schema(kind) if kind is not None else None

    @cached_property
    def enum(self) -> Enum | None:
        """The enum that its values are of."""
        return Enum(self.descriptor.enum_type) if self.descriptor.enum_type else None

    @property
    def is_map(self) -> bool:
        """Whether it maps names to values."""
        kind = self.descriptor.message_type
        return kind is not None and _is_entry(kind)

    @property
    def is_duration(self) -> bool:
        """Whether its values are durations, which old histories wrote as numbers of seconds."""
        kind = self.descriptor.message_type
        return kind is not None and kind.full_name == "google.protobuf.Duration"

    @property
    def is_list(self) -> bool:
        """Whether it holds several values in order."""
        return _repeated(self.descriptor) and not self.is_map


@dataclass(frozen=True)
class Message:
    """A message: its fields by all their spellings."""

    name: str
    fields: dict[str, Field]


@cache
def schema(descriptor: Descriptor = HISTORY_EVENT) -> Message:
    """The tables of one message; fields are keyed by their letters."""
    fields = [Field(field.camelcase_name, field) for field in descriptor.fields]
    return Message(descriptor.full_name, {letters(field.name): field for field in fields})


def _is_entry(kind: Descriptor) -> bool:
    """Whether fields of this kind are maps. Reading the options would import all that protobuf says of itself."""
    return kind.has_options and set(kind.fields_by_name) == {"key", "value"}


def _snake(pascal: str) -> str:
    return "".join("_" + char if char.isupper() else char for char in pascal)


def _repeated(field: FieldDescriptor) -> bool:
    # The older spelling, for the protobuf 5 that the SDK still allows.
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else getattr(field, "label") == 3  # noqa: B009


# Struct types that name each other are looked up by msgspec in the module that they say they are of.
_structs = ModuleType(f"{__name__}.structs")
sys.modules[_structs.__name__] = _structs


@cache
def event_struct() -> Any:
    """The struct type of an event, made once and only by those who load histories."""
    _struct(HISTORY_EVENT)
    return getattr(_structs, _struct_name(HISTORY_EVENT))


def _struct_name(descriptor: Descriptor) -> str:
    return descriptor.full_name.replace(".", "_")


def _struct(descriptor: Descriptor) -> Any:
    name = _struct_name(descriptor)
    if not hasattr(_structs, name):
        setattr(_structs, name, None)  # a message may hold itself
        struct = msgspec.defstruct(
            name,
            [(f"{field.name}_", _optional(_field_type(field)), msgspec.UNSET) for field in descriptor.fields],
            forbid_unknown_fields=True,
            gc=False,
            omit_defaults=True,
            module=_structs.__name__,
            rename={f"{f.name}_": f.camelcase_name for f in descriptor.fields},
        )
        setattr(_structs, name, struct)
    return getattr(_structs, name) or ForwardRef(name)


def _optional(kind: Any) -> Any:
    return Union[kind, None, msgspec.UnsetType]  # noqa: UP007 (a forward reference knows no |)


def _field_type(field: FieldDescriptor) -> Any:
    if field.message_type is not None and _is_entry(field.message_type):
        return dict[str, _value_type(field.message_type.fields_by_name["value"])]  # type: ignore[misc]
    kind = _value_type(field)
    return GenericAlias(list, (kind,)) if _repeated(field) else kind


def _value_type(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return Literal[tuple(value.name for value in field.enum_type.values)]
    if field.message_type is None:
        return _SCALARS[field.type]
    if field.message_type.full_name in _SPELLED_AS_TEXT:
        return str
    if field.message_type.full_name.startswith("google."):
        return Any
    return _struct(field.message_type)
