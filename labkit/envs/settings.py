"""What the tasks of every game take: attempts, a reward table, prompt templates; all checked in the same words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.counting import counted
from labkit.errors import UsageError

_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")
"""A name in braces. Other braces are text: ``{2}``, ``{ word }``, ``{"key": 1}``."""


def check_attempts(attempts: Any) -> int:
    """Raises UsageError unless ``attempts`` is a whole number from 1."""
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise UsageError(f"attempts must be a whole number from 1, not {attempts!r}")
    return attempts


def reward_table(default: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The default table with the given entries in its place.

    Raises:
        UsageError: an entry that does not exist, or anything but a finite number.
    """
    for name, value in (given or {}).items():
        if name not in default:
            raise UsageError(f"no reward {name!r}; the rewards are {', '.join(default)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"reward {name} must be a number, not {value!r}")
    return {**default, **(given or {})}


def merged(default: Mapping[str, str], given: Mapping[str, str] | None) -> Mapping[str, str]:
    """The default templates with the given ones in their place.

    Raises:
        UsageError: a template that does not exist, or is not text.
    """
    for name, text in (given or {}).items():
        if name not in default:
            raise UsageError(f"no template {name!r}; the templates are {', '.join(default)}")
        if not isinstance(text, str):
            raise UsageError(f"template {name!r} must be text, not {type(text).__name__}")
    return {**default, **(given or {})}


def check_templates(
    default: Mapping[str, str], placeholders: Mapping[str, Sequence[str]], given: Mapping[str, str] | None
) -> None:
    """Check templates before they are used.

    Args:
        placeholders: those that each template is given; none where a template is not named.

    Raises:
        UsageError: a template does not exist or is not text, or holds a placeholder that it is not given.
    """
    merged(default, given)
    for template, text in (given or {}).items():
        allowed = placeholders.get(template, ())
        for name in _PLACEHOLDER.findall(text):
            if name not in allowed:
                known = ", ".join(f"{{{other}}}" for other in allowed) or "none"
                raise UsageError(
                    f"template {template!r}: no placeholder {{{name}}}; it may use {known}; "
                    f"for that word in braces write {{ {name} }}"
                )


def prompt_variant(default: Mapping[str, str], others: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    """The prompt variant of a number; 0 is the default.

    With k versions of each section, the default included, there are k * k variants. The first k have no section in
    common.

    Raises:
        UsageError: there is no such variant.
    """
    choices = min(map(len, others.values())) + 1
    if not 0 <= number < choices**2:
        raise UsageError(f"the prompt has {counted(choices**2, 'variant')}, not {number + 1}")
    shift, first = divmod(number, choices)
    versions = [(default[name], *texts) for name, texts in others.items()]
    return {name: v[(first + at * shift) % choices] for at, (name, v) in enumerate(zip(others, versions, strict=True))}


def fill(template: str, **values: Any) -> str:
    """Put values in place of ``{name}``; every other brace stays, since answer formats are full of them.

    A name without a value stays too: :func:`check_templates` refuses it in a new task; a stored one reads as it did.
    """
    return _PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), template)
