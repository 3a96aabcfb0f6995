"""Make the data converter of a user's settings, from what the project has a name for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

from temporalio.converter import DataConverter, PayloadCodec, PayloadConverter


def make_data_converter(value: object) -> Any:
    """Return the converter for a converter, a codec, a class of one of them, or a function that makes one.

    Anything else is returned as it is: the SDK says what is wrong with it.
    """
    if isinstance(value, type) and issubclass(value, PayloadConverter):
        return dataclasses.replace(DataConverter.default, payload_converter_class=value)
    if callable(value) and not isinstance(value, DataConverter | PayloadCodec):
        value = cast(Callable[[], object], value)()
    if isinstance(value, PayloadCodec):
        return dataclasses.replace(DataConverter.default, payload_codec=value)
    return value
