"""The fields of a tab: what each may hold. The controls, the links and the messages are all read off them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from math import isfinite
from typing import Any, ClassVar, Protocol, TypeVar

from labkit.episode import Task
from labkit.errors import UsageError

LAST_SEED = 2**31 - 1
MOST_ATTEMPTS = 10
HOTTEST = 2
_LONGEST = 1000
"""Characters of a field in a link, at most."""
_Own = TypeVar("_Own", bound="Fields")


class FieldError(UsageError):
    """The value of a field is invalid; the message is shown beside the field."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.field = name


class Kind(Protocol):
    """What a field may hold."""

    def check(self, value: Any, label: str) -> Any:
        """The value in its normal form.

        Raises:
            UsageError: the value is invalid.
        """

    def read(self, text: str) -> Any:
        """The value that a link's text stands for, not yet checked.

        Raises:
            ValueError: the text is not one.
        """


@dataclass(frozen=True, slots=True)
class Real:
    """A number from ``low`` to ``high``."""

    low: float
    high: float
    type: ClassVar[type] = float
    noun: ClassVar[str] = "a number"

    def check(self, value: Any, label: str) -> float:
        number = _number(value)
        if number is None or number != self.type(number) or not self.low <= number <= self.high:
            raise UsageError(_wrong(label, f"{self.noun} from {self.low} to {self.high}", value))
        return self.type(number)

    def read(self, text: str) -> float:
        return self.type(text)


class Whole(Real):
    """A whole number from ``low`` to ``high``."""

    __slots__ = ()
    type = int
    noun = "a whole number"

    def check(self, value: Any, label: str) -> int:
        return int(super().check(value, label))


@dataclass(frozen=True, slots=True)
class Word:
    """One of some words."""

    words: Collection[str]

    def check(self, value: Any, label: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise UsageError(_wrong(label, f"one of {', '.join(self.words)}", value))
        return value

    def read(self, text: str) -> str:
        return text


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text that a function reads and returns in its normal form; it raises UsageError for other text."""

    parse: Callable[[str], str]

    def check(self, value: Any, label: str) -> str:
        return self.parse(str(value or ""))

    def read(self, text: str) -> str:
        return text


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return value


def _wrong(label: str, wanted: str, value: Any) -> str:
    """What a field must be and is not."""
    if value is None:
        return f"{label} is empty; give {wanted}"
    shown = f"{value:.12g}" if isinstance(value, int | float) else repr(str(value)[:60])
    return f"{label} must be {wanted}, not {shown}"


def setting(kind: Kind, label: str, default: Any = MISSING, **where: Any) -> Any:
    """Declare a field of :class:`Fields`.

    Args:
        label: what the page calls the field.
        default: its first value; or give ``default_factory``, for a value that is chosen from data. A link leaves
            out a field that has its default, but never one with a factory, whose value may be another one tomorrow.
    """
    return field(
        metadata={"kind": kind, "label": label}, **({} if default is MISSING else {"default": default}), **where
    )


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a tab as the page's components hand them over; nothing has been checked."""

    def value(self, name: str) -> Any:
        """The checked value of a field.

        Raises:
            FieldError: it is invalid.
        """
        kind, label = _kinds(type(self))[name]
        try:
            return kind.check(getattr(self, name), label)
        except UsageError as error:
            raise FieldError(name, str(error)) from None

    def problems(self) -> dict[str, str]:
        """The messages about invalid fields, by field."""
        found = {}
        for name in names(type(self)):
            try:
                self.value(name)
            except FieldError as error:
                found[name] = str(error)
        return found

    def mended(self: _Own) -> _Own:
        """The same settings with the default in each invalid field, so that the rest of the page can go on."""
        return replace(self, **{name: default(type(self), name) for name in self.problems()})


@dataclass(frozen=True, slots=True)
class Settings(Fields):
    """The fields of a game's tab. A game adds the fields that describe its task, and the task itself."""

    attempts: float | None = setting(Whole(1, MOST_ATTEMPTS), "Attempts", 5)
    temperature: float | None = setting(Real(0, HOTTEST), "Temperature", 0.0)
    seed: float | None = setting(Whole(0, LAST_SEED), "Seed", 0)

    @property
    def task(self) -> Task:
        """The task that the settings describe.

        Raises:
            FieldError: a field is invalid.
        """
        raise NotImplementedError

    def deals(self, split: str) -> Iterator[Task]:
        """The deals of a split under the rule that the settings describe, in the order that their seed gives.

        Raises:
            FieldError: there is none, or a field is invalid.
        """
        raise NotImplementedError


def _kinds(settings: type[Fields]) -> dict[str, tuple[Kind, str]]:
    return {f.name: (f.metadata["kind"], f.metadata["label"]) for f in fields(settings)}


def names(settings: type[Fields]) -> tuple[str, ...]:
    """The names of the fields, in order."""
    return tuple(_kinds(settings))


def kind(settings: type[Fields], name: str) -> Kind:
    """What a field may hold."""
    return _kinds(settings)[name][0]


def label(settings: type[Fields], name: str) -> str:
    """What the page calls a field."""
    return _kinds(settings)[name][1]


def default(settings: type[Fields], name: str) -> Any:
    """The first value of a field."""
    [found] = [f for f in fields(settings) if f.name == name]
    return found.default_factory() if callable(found.default_factory) else found.default


def values(settings: Fields) -> dict[str, str]:
    """The fields as a link writes them.

    Raises:
        FieldError: a field is invalid.
    """
    written = {}
    for f in fields(settings):
        value = settings.value(f.name)
        if f.default is MISSING or value != f.default:
            written[f.name] = f"{value:g}" if isinstance(value, float) else str(value)
    return written


def with_text(settings: _Own, name: str, text: str) -> _Own:
    """The settings with the value that a link gives a field.

    Raises:
        UsageError: the value is invalid.
    """
    try:
        value = kind(type(settings), name).read(text[:_LONGEST])
    except ValueError:
        # The text itself, which the check refuses in the field's own words.
        value = text
    changed = replace(settings, **{name: value})
    return replace(changed, **{name: changed.value(name)})
