"""Exercises of the notebooks, checked in place.

A notebook's check cell says ``check("virl.relative_word", relative_word)``: the check is the function
``relative_word`` of :mod:`labkit.exercises.virl`, the module named after the notebook (``02_virl``) without its
number. To add one, write it there; it is found by its name::

    @exercise("Bring the difference into the half-open interval from -180 to 180.")   # hints, the gentlest first
    def relative_word(learner):
        \"\"\"The relative word for a turn from one heading to another.\"\"\"            # what is expected, in words
        expect(learner, (350, 10), "slightly right")                                # small examples first
        return "right for 350 to 10"                                                # printed for a right answer

Right values come from the library or are worked out by hand. An answer that is not a function is judged by the check's
own code, which raises :class:`NotYet` if it is wrong.

Where later cells build on an answer, the check cell says ``relative_word = use("virl.relative_word", relative_word)``.
A right answer is used; otherwise the function of the same name in ``labkit/exercises/solutions/virl.py`` takes its
place. Neither a stub nor a wrong answer raises, so that "Run All" always reaches the end.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np

from labkit.errors import UsageError

__all__ = ["Judged", "NotYet", "check", "exercise", "expect", "given", "judge", "names", "same", "use"]

_LONGEST = 300
"""Characters of a value that a message shows."""


class NotYet(AssertionError):
    """A wrong answer to an exercise. The message says what is expected and gives a hint."""


class Judged(NamedTuple):
    """What a check says about an answer."""

    status: Literal["right", "wrong", "not done"]
    message: str
    """Praise, or what is wrong with a hint; empty for a stub."""


class Exercise:
    """A check with its hints; :func:`exercise` makes one of a function."""

    def __init__(self, judge: Callable[[Any], str], hints: tuple[str, ...]) -> None:
        self.judge = judge
        self.hints = hints
        self.task = " ".join((judge.__doc__ or "").split())
        self.missed = 0
        """Wrong tries so far; each gives the next hint."""

    def __call__(self, answer: Any) -> str:
        """The sentence that is printed for a right answer.

        Raises:
            NotYet: the answer is wrong.
            NotImplementedError: the answer is a stub.
        """
        try:
            return self._judged(answer)
        except NotYet as wrong:
            hint = self.hints[min(self.missed, len(self.hints) - 1)]
            self.missed += 1
            message = f"✗ Not yet: {wrong}\nExpected: {self.task}\nHint: {hint}"
            raise NotYet(message) from wrong.__cause__

    def _judged(self, answer: Any) -> str:
        try:
            return self.judge(answer)
        except (NotYet, NotImplementedError):
            raise
        except Exception as error:
            # Checks assume that an answer has the right type.
            raise NotYet(f"{_shown(answer)} cannot be judged ({type(error).__name__}: {error})") from error


def exercise(*hints: str) -> Callable[[Callable[[Any], str]], Exercise]:
    """Make an exercise from a check function; its docstring says what is expected.

    Args:
        hints: one or more. Each wrong try gives the next one; after the last it is repeated.
    """
    if not hints:
        raise TypeError("an exercise has at least one hint")
    return lambda judge: Exercise(judge, hints)


def judge(name: str, answer: Any) -> Judged:
    """Judge an answer. A stub, or None, counts as not done.

    Args:
        name: ``MODULE.EXERCISE``.
        answer: what the exercise asks for, usually a function.

    Raises:
        UsageError: no exercise has that name.
    """
    found = _find(name)
    if answer is None:
        return Judged("not done", "")
    try:
        return Judged("right", found(answer))
    except NotImplementedError:
        return Judged("not done", "")
    except NotYet as wrong:
        return Judged("wrong", str(wrong))


def check(name: str, answer: Any) -> None:
    """Judge an answer and print the result: praise and stubs on standard output, mistakes on standard error.

    Raises:
        UsageError: no exercise has that name.
    """
    _say(name, judge(name, answer))


def use(name: str, answer: Any) -> Any:
    """Judge an answer that later cells build on, print the result, and return what they use.

    Returns:
        The answer if it is right, else the given solution; the last line that is printed says which.

    Raises:
        UsageError: no exercise has that name, or none is given for it.
    """
    solution = given(name)
    if answer is solution:
        print(f"… {name}: the given solution is in use")
        return solution
    judged = judge(name, answer)
    _say(name, judged)
    if judged.status == "right":
        return answer
    own = name.partition(".")[2]
    print(f"  Your `{own}` is not used: the cells below use the given solution.")
    return solution


def given(name: str) -> Any:
    """The solution that stands in for a missing or wrong answer.

    Raises:
        UsageError: none is given for that name.
    """
    _find(name)
    module, _, own = name.partition(".")
    if find_spec(f"{__name__}.solutions.{module}") is not None:
        solutions = vars(import_module(f"{__name__}.solutions.{module}"))
        if own in solutions:
            return solutions[own]
    raise UsageError(f"no solution is given for {name}; ask with check() instead of use()")


def _say(name: str, judged: Judged) -> None:
    match judged.status:
        case "right":
            print(f"✓ {name}: {judged.message}")
        case "not done":
            print(f"… {name}: not done yet")
        case "wrong":
            # In a notebook, text on standard error has a red background.
            print(judged.message, file=sys.stderr)


def names(module: str) -> list[str]:
    """The exercises of a module, in the order of its file; none if the module does not exist."""
    if not re.fullmatch("[a-z_]+", module) or find_spec(f"{__name__}.{module}") is None:
        return []
    members = vars(import_module(f"{__name__}.{module}"))
    return [name for name, value in members.items() if isinstance(value, Exercise)]


def _find(name: str) -> Exercise:
    module, _, own = name.partition(".")
    known = names(module)
    if own in known:
        return getattr(import_module(f"{__name__}.{module}"), own)
    near = difflib.get_close_matches(own, known, 1) or known[:1]
    advice = f"did you mean {module}.{near[0]}?" if near else "a name is MODULE.EXERCISE, like virl.relative_word"
    raise UsageError(f"no exercise {name}; {advice}")


def expect(learner: Callable[..., Any], given: tuple[Any, ...], right: Any, tolerance: float = 1e-6) -> None:
    """Call the learner's function on an example and compare.

    Args:
        given: the arguments; the function gets copies.
        right: text, numbers, arrays, tensors, or lists, tuples and dictionaries of these. Numbers may differ by
            ``tolerance``, absolute or relative; shapes may not.

    Raises:
        NotYet: the function returns another value, or raises an exception.
        NotImplementedError: the function is a stub.
    """
    call = f"{getattr(learner, '__name__', 'your function')}({', '.join(map(_shown, given))})"
    should = f"it should return {_shown(right)}"
    if not callable(learner):
        raise NotYet(f"give a function, not {_shown(learner)}")
    try:
        got = learner(*deepcopy(given))
    except NotImplementedError:
        raise
    except Exception as error:
        raise NotYet(f"{call} raises {type(error).__name__}: {error}; {should}") from error
    if not same(got, right, tolerance):
        raise NotYet(f"{call} returns {_shown(got)}; {should}")


def same(got: Any, right: Any, tolerance: float = 1e-6) -> bool:
    """Whether a learner's value equals the right one; see :func:`expect`."""
    if isinstance(right, bool):
        return isinstance(got, bool | np.bool_) and bool(got) == right
    if isinstance(right, str):
        return isinstance(got, str) and got == right
    if isinstance(right, dict):
        return (
            isinstance(got, dict)
            and got.keys() == right.keys()
            and all(same(got[key], value, tolerance) for key, value in right.items())
        )
    if isinstance(right, list | tuple) and not _numeric(right):
        return (
            isinstance(got, list | tuple)
            and len(got) == len(right)
            and all(map(same, got, right, [tolerance] * len(right)))
        )
    if not _numeric(right):
        return bool(got == right)
    if not _numeric(got):
        return False
    given, known = _array(got), _array(right)
    return given.shape == known.shape and np.allclose(given, known, rtol=tolerance, atol=tolerance, equal_nan=True)


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _numeric(value: Any) -> bool:
    try:
        return _array(value).dtype.kind in "iufb"
    except ValueError:  # lists of several lengths
        return False


def _shown(value: Any) -> str:
    """A value as text for a learner: numbers in few digits, long values cut."""
    if isinstance(value, float):
        shown = f"{value:.6g}"
    elif isinstance(value, np.ndarray) or hasattr(value, "detach"):
        values = _array(value)
        # On one line, whatever its shape.
        shown = " ".join(np.array2string(values, precision=4, separator=", ", threshold=24).split())
        shown = f"{shown} (shape {list(values.shape)})"
    else:
        shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} …"
