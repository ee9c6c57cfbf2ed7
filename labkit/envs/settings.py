"""What the tasks of every game take: attempts, a reward table, prompt templates; all checked in the same words."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import UsageError

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def check_attempts(attempts: Any) -> int:
    """Raises UsageError unless ``attempts`` is a whole number from 1."""
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise UsageError(f"attempts is a whole number from 1, not {attempts!r}")
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
            raise UsageError(f"reward {name} is a number, not {value!r}")
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


def check_templates(default: Mapping[str, str], given: Mapping[str, str] | None) -> None:
    """Check templates before they are used.

    Raises:
        UsageError: a template does not exist or is not text, or holds a placeholder that looks like a misspelt one.
            Other words in braces are left as they are: answer formats are full of them.
    """
    merged(default, given)
    known = sorted({name for text in default.values() for name in _PLACEHOLDER.findall(text)})
    for template, text in (given or {}).items():
        for name in _PLACEHOLDER.findall(text):
            lower = {other.lower(): other for other in known}
            near = difflib.get_close_matches(name.lower(), lower, 1, cutoff=0.7)
            if name not in known and near:
                raise UsageError(
                    f"template {template!r}: no placeholder {{{name}}}; did you mean {{{lower[near[0]]}}}?"
                )


def prompt_variant(default: Mapping[str, str], others: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    """The prompt variant of a number; 0 is the default.

    With k versions of each section, the default included, there are k * k variants. The first k have no section in
    common.

    Raises:
        UsageError: there is no such variant.
    """
    count = min(map(len, others.values())) + 1
    if not 0 <= number < count * count:
        raise UsageError(f"there are {count * count} variants of the prompt, not {number + 1}")
    shift, first = divmod(number, count)
    versions = [(default[name], *texts) for name, texts in others.items()]
    return {name: v[(first + at * shift) % count] for at, (name, v) in enumerate(zip(others, versions, strict=True))}


def fill(template: str, **values: Any) -> str:
    """Put values in place of ``{name}``; every other brace stays, since answer formats are full of them."""
    return _PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), template)
