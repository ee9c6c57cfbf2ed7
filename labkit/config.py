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
            raise UsageError(f"{where}: {_first_fault(cls, error)}") from None

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


def _first_fault(cls: type[BaseModel], error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(cls, fault["loc"])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, 1, cutoff=0.5)
        return f"unknown key {place!r}; " + (
            f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
        )
    if fault["type"] == "missing":
        return f"the key {place!r} is missing"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{place or 'config'} = {fault['input']!r}: {message}"


def _keys_beside(cls: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    for part in loc[:-1]:
        inner = cls.model_fields[part].annotation if part in cls.model_fields else None
        # Of an optional section, the section.
        sections = [t for t in (inner, *get_args(inner)) if isinstance(t, type) and issubclass(t, BaseModel)]
        if not sections:
            break
        cls = sections[0]
    return list(cls.model_fields)
