"""Settings, merged from options, environment variables, `[tool.replaytool]` and defaults, in this order."""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from replaytool.errors import ErrorCode, ReplaytoolError


@dataclass(frozen=True, slots=True)
class Settings:
    """One field for each key that `[tool.replaytool]` may hold."""

    store: Path = Path("replaytool.duckdb")
    converter: str | None = None
    """MODULE:ATTR of a temporalio DataConverter, or of a codec for the default one."""
    plugins: tuple[str, ...] = ()
    """MODULE:ATTR of plugins, as the worker or the client has them."""
    interceptors: tuple[str, ...] = ()
    """MODULE:ATTR of interceptors, as the worker or the client has them."""
    codec_endpoint: str | None = None
    codec_auth: str | None = field(default=None, repr=False)
    """Value of the Authorization header for the codec server; never shown."""
    workflows: tuple[str, ...] = ()
    """Modules, packages, files and folders with workflow code."""
    exclude: tuple[str, ...] = ()
    """Files, folders, modules and patterns that a search for workflow code leaves out."""
    pythonpath: tuple[str, ...] = ()
    """Folders that the code is imported from."""
    types: Mapping[str, str] = field(default_factory=dict)
    """MODULE:CLASS for each workflow type that several classes define."""
    histories: tuple[str, ...] = ()
    """Files, folders, patterns and addresses that `check` reads when nobody names any."""
    builds: Mapping[str, str] = field(default_factory=dict)
    """Code of each build: build ID to module or path."""
    replayer: str | None = None
    """MODULE:FUNCTION that returns the keyword arguments for the SDK's Replayer."""
    drift: Mapping[str, str] = field(default_factory=dict)
    """Level of each drift field: error, warn or ignore."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Key bindings of the screens: action to keys."""
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Price of a million tokens, by model."""
    folder: Path = Path()
    """Folder that relative code paths start from: that of pyproject.toml, else the working directory."""


_VARIABLES = {
    "store": "REPLAYTOOL_STORE",
    "converter": "REPLAYTOOL_CONVERTER",
    "codec_endpoint": "REPLAYTOOL_CODEC_ENDPOINT",
    "codec_auth": "REPLAYTOOL_CODEC_AUTH",
    "replayer": "REPLAYTOOL_REPLAYER",
}


_CODE = (
    "converter", "codec_endpoint", "codec_auth", "replayer", "workflows", "pythonpath", "types", "builds", "plugins",
    "interceptors",
)  # fmt: skip
"""Settings that name code to import, or a server that payloads are sent to."""


def load_settings(
    options: Mapping[str, object],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    names_code: bool = True,
) -> Settings:
    """Merge all sources of settings; an option of None was not given.

    Without `names_code`, code and codec servers that only the project file names are left out, and so not used.
    """
    folder = folder or Path.cwd()
    environment = os.environ if environment is None else environment
    settings = Settings()
    project = find_project_file(folder)
    if project is not None:
        found = _read_project_file(project)
        known = {name: value for name, value in found.items() if names_code or name not in _CODE}
        settings = replace(settings, folder=project.parent, **known)
    exported = {name: environment[variable] for name, variable in _VARIABLES.items() if environment.get(variable)}
    given = {name: value for name, value in options.items() if value is not None}
    return replace(
        settings, **{name: _convert_value(name, value, Path()) for name, value in (exported | given).items()}
    )


def find_project_file(folder: Path) -> Path | None:
    """Return the nearest pyproject.toml in this folder or above, as other tools do."""
    for place in (folder, *folder.absolute().parents):
        candidate = place / "pyproject.toml"
        if candidate.is_file():
            return candidate
    return None


def _read_project_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("replaytool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReplaytoolError(
            f"cannot read {file}: {error}",
            "fix the file, or run in another folder",
            code=ErrorCode.CONFIG_UNREADABLE,
        ) from error
    if not isinstance(table, dict):
        raise ReplaytoolError(
            f"{file}: tool.replaytool is not a table",
            "write [tool.replaytool] and keys below it",
            code=ErrorCode.CONFIG_TYPE,
        )
    return {
        _match_key(key, file): _convert_value(_match_key(key, file), value, file.parent) for key, value in table.items()
    }


def _match_key(key: str, file: Path) -> str:
    names = [one.name for one in fields(Settings) if one.name != "folder"]
    name = key.replace("-", "_")
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
    raise ReplaytoolError(f"{file}: [tool.replaytool] has no key {key!r}", hint, code=ErrorCode.CONFIG_KEY)


def _parse_text(name: str, value: object, folder: Path) -> str:
    if not isinstance(value, str | Path):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must be text, not {value!r}", "put it in quotes", code=ErrorCode.CONFIG_TYPE
        )
    return str(value)


def _parse_path(name: str, value: object, folder: Path) -> Path:
    """Return a path; one that stands in a file is relative to that file."""
    return folder / _parse_text(name, value, folder)


def _parse_names(name: str, value: object, folder: Path) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) for item in values):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must be a list of texts, not {value!r}",
            f'{name} = ["…"]',
            code=ErrorCode.CONFIG_TYPE,
        )
    return tuple(values)


def _parse_levels(name: str, value: object, folder: Path) -> dict[str, str]:
    levels = ("error", "warn", "ignore")
    if not isinstance(value, Mapping) or not all(item in levels for item in value.values()):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must map fields to {', '.join(levels)}, not {value!r}",
            f'{name} = {{input = "warn"}}',
            code=ErrorCode.CONFIG_TYPE,
        )
    return dict(value)


def _parse_keys(name: str, value: object, folder: Path) -> dict[str, str]:
    """Return the key bindings. Tables may be nested: `debugger.step = "n"` equals `"debugger.step" = "n"`."""
    if not isinstance(value, Mapping):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must be a table, not {value!r}",
            'debugger.step = "n"',
            code=ErrorCode.CONFIG_TYPE,
        )
    found: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= {f"{key}.{inner}": text for inner, text in _parse_keys(name, item, folder).items()}
        else:
            found[key] = ",".join(_parse_names(f"{name}.{key}", item, folder))
    return found


def _parse_build_modules(name: str, value: object, folder: Path) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must map build ids to modules or paths, not {value!r}",
            f'{name} = {{"1.4" = "old/v14.py"}}',
            code=ErrorCode.CONFIG_TYPE,
        )
    return dict(value)


def _parse_classes(name: str, value: object, folder: Path) -> dict[str, str]:
    is_valid = isinstance(value, Mapping) and all(isinstance(one, str) and ":" in one for one in value.values())
    if not isinstance(value, Mapping) or not is_valid:
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must map workflow types to module:Class, not {value!r}",
            f'{name} = {{Order = "app.orders:Order"}}',
            code=ErrorCode.CONFIG_TYPE,
        )
    return dict(value)


def _parse_histories(name: str, value: object, folder: Path) -> tuple[str, ...]:
    """Return the places; those of this machine are relative to the file."""
    return tuple(one if "://" in one else str(folder / one) for one in _parse_names(name, value, folder))


def _parse_prices(name: str, value: object, folder: Path) -> dict[str, dict[str, float]]:
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) and _is_price(one) for one in value.values()):
        raise ReplaytoolError(
            f"[tool.replaytool] {name} must map models to prices per million tokens, not {value!r}",
            f'{name} = {{"model-1" = {{input = 0.15, output = 0.6, cached = 0.075}}}}; cached is optional',
            code=ErrorCode.CONFIG_TYPE,
        )
    return {model: dict(one) for model, one in value.items()}


def _is_price(value: Mapping[str, Any]) -> bool:
    numbers = all(type(one) in (int, float) and 0 <= one < math.inf for one in value.values())
    return numbers and {"input", "output"} <= set(value) <= {"input", "output", "cached"}


_Converter = Callable[[str, object, Path], object]
_CONVERTERS: dict[str, _Converter] = {
    "store": _parse_path,
    "workflows": _parse_names,
    "exclude": _parse_names,
    "plugins": _parse_names,
    "interceptors": _parse_names,
    "pythonpath": _parse_names,
    "types": _parse_classes,
    "histories": _parse_histories,
    "builds": _parse_build_modules,
    "drift": _parse_levels,
    "keys": _parse_keys,
    "prices": _parse_prices,
}


def _convert_value(name: str, value: object, folder: Path) -> Any:
    converter: _Converter = _CONVERTERS.get(name, _parse_text)
    return converter(name, value, folder)
