"""Configs are data: one typed class per stage, mirrored field for field by YAML.

An unknown key or a bad value is an error that names the file, the key and the nearest right one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from labkit.errors import UsageError

PROMPT_DATE = date(2024, 7, 26)
"""Today's date, for chat templates that write it into the prompt: always the same, so that prompts do not change
overnight. It is the date that Llama 3's templates fall back to. Every run records it."""


class Config(BaseModel):
    """Base of every config: frozen, strict about keys, documented field by field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str = "config") -> Self:
        """Check plain data.

        Raises:
            UsageError: one line for the first thing that is wrong.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UsageError(f"{where}: {_first_fault(cls, data, error)}") from None

    def to_yaml(self) -> str:
        """The resolved config, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The plain data of a YAML file with ``key=value`` overrides applied; dots reach into sections.

    Raises:
        UsageError: no such file, not YAML, not a mapping, or an override without ``=``.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise UsageError(f"cannot read the config {path}: {error.strerror}{hint}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no keys; a config is a mapping that begins with stage:")
    return override(data, overrides)


def override(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Apply ``key=value`` overrides to the plain data of a config, in place; dots reach into sections.

    Raises:
        UsageError: an override without ``=``, or one that reaches into a value.
    """
    for assignment in overrides:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: write key=value")
        section, *rest = data, *key.split(".")
        for name in rest[:-1]:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise UsageError(f"--set {assignment}: {name} is a value, not a section")
        section[rest[-1]] = yaml.safe_load(value)
    return data


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first key, in dots, whose values differ in two configs' plain data, with both values; None if all agree."""
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if inner := difference(a, b):
                return f"{key}.{inner[0]}", *inner[1:]
        elif a != b:
            return key, a, b
    return None


_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_long": "a list of at most {max_length}",
}
"""What a value must be, by the kind of error; pydantic's own messages name its types and Python's."""

_LONGEST_VALUE = 60


def _first_fault(cls: type[BaseModel], data: Mapping[str, Any], error: ValidationError) -> str:
    """The first wrong key, what it holds and what it must hold."""
    faults = [(_keys(cls, data, fault["loc"]), fault) for fault in error.errors(include_url=False)]
    # A union has an error for each of its alternatives; the deepest is of the alternative that fits best.
    first = faults[0][0]
    keys = max((found for found, _ in faults if found[: len(first)] == first), key=len)
    same = [fault for found, fault in faults if found == keys]
    fault, key = same[0], ".".join(map(str, keys)) or "config"
    expected = " or ".join(dict.fromkeys(_expected(fault) for fault in same))
    if fault["type"] in ("extra_forbidden", "invalid_key"):
        known = _keys_beside(cls, keys)
        near = difflib.get_close_matches(str(keys[-1]), known, 1, cutoff=0.5)
        return f"unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}")
    if fault["loc"][-1:] == ("[key]",):
        return f"unknown key {key!r}; it must be {expected}"
    if fault["type"] == "missing":
        return f"the {'key' if isinstance(keys[-1], str) else 'value'} {key!r} is missing"
    value = repr(fault["input"])
    # A key that is left out holds None.
    shown = f" = {value}" if fault["input"] is not None and len(value) <= _LONGEST_VALUE else ""
    return f"{key}{shown}: " + (str(fault["ctx"]["error"]) if fault["type"] == "value_error" else f"must be {expected}")


def _expected(fault: ErrorDetails) -> str:
    return _EXPECTED.get(fault["type"], fault["msg"]).format_map(fault.get("ctx", {}))


def _keys(cls: type[BaseModel], data: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The keys that lead to an error; its location also names the alternatives of unions."""
    keys = []
    for part in loc:
        present = isinstance(data, Mapping) and part in data
        if present or isinstance(part, int) or part in cls.model_fields:
            keys.append(part)
            try:
                data = data[part]
            except (LookupError, TypeError):
                data = None
            cls = _section(cls, part)
    return tuple(keys)


def _section(cls: type[BaseModel], key: int | str) -> type[BaseModel]:
    """The class of a key's section, also of an optional one, or of one in a list or mapping; else the same class."""
    inner = cls.model_fields[key].annotation if key in cls.model_fields else None
    sections = [t for t in (inner, *get_args(inner)) if isinstance(t, type) and issubclass(t, BaseModel)]
    return sections[0] if sections else cls


def _keys_beside(cls: type[BaseModel], keys: tuple[int | str, ...]) -> list[str]:
    for key in keys[:-1]:
        cls = _section(cls, key)
    return list(cls.model_fields)
