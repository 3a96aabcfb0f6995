"""What SARIF 2.1.0 demands of the objects that we write: property names, types and words, closed against others."""

from __future__ import annotations

from typing import Any


def _object(required: str, optional: str = "", **properties: Any) -> dict[str, Any]:
    known = {name: properties.get(name, {}) for name in (required + " " + optional).split()}
    return {"type": "object", "required": required.split(), "properties": known, "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_MESSAGE = _object("text", text=_TEXT)
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_ARTIFACT = _object("uri", "uriBaseId", uri={"type": "string", "format": "uri-reference"}, uriBaseId=_TEXT)
_PHYSICAL = _object(
    "artifactLocation region",
    artifactLocation=_ARTIFACT,
    region=_object("startLine", startLine={"type": "integer", "minimum": 1}),
)
_LOCATION = _object(
    "physicalLocation", "logicalLocations message",
    physicalLocation=_PHYSICAL, message=_MESSAGE,
    logicalLocations=_list(_object("fullyQualifiedName kind", fullyQualifiedName=_TEXT, kind=_TEXT)),
)  # fmt: skip
_RULE = _object(
    "id name shortDescription fullDescription help defaultConfiguration",
    id=_TEXT, name=_TEXT, shortDescription=_MESSAGE, fullDescription=_MESSAGE, help=_MESSAGE,
    defaultConfiguration=_object("level", level=_LEVEL),
)  # fmt: skip
_THREADS = _list(_object("locations", locations=_list(_object("location", location=_LOCATION))))
_RESULT = _object(
    "ruleId ruleIndex level message locations partialFingerprints occurrenceCount properties",
    "codeFlows baselineState",
    ruleId=_TEXT, ruleIndex=_COUNT, level=_LEVEL, message=_MESSAGE, locations={**_list(_LOCATION), "minItems": 1},
    partialFingerprints={"type": "object", "additionalProperties": _TEXT},
    occurrenceCount={"type": "integer", "minimum": 1},
    codeFlows=_list(_object("threadFlows", threadFlows=_THREADS)),
    baselineState={"enum": ["new", "unchanged", "updated", "absent"]},
)  # fmt: skip
_DRIVER = _object(
    "name version semanticVersion rules", name=_TEXT, version=_TEXT, semanticVersion=_TEXT, rules=_list(_RULE)
)
_RUN = _object(
    "tool columnKind automationDetails invocations results properties",
    tool=_object("driver", driver=_DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    automationDetails=_object("id", id=_TEXT),
    invocations=_list(_object("executionSuccessful exitCode", executionSuccessful={"type": "boolean"})),
    results=_list(_RESULT),
)
SARIF = _object("$schema version runs", version={"const": "2.1.0"}, runs=_list(_RUN))
