"""Predict, then run: a guess that is written down before the result is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from labkit.errors import UsageError
from labkit.views.markup import text
from labkit.views.widgets.live import ipywidgets, show


class Question(NamedTuple):
    """What was asked."""

    words: str
    options: tuple[str, ...]


_asked: dict[str, Question] = {}
_guesses: dict[str, str] = {}


def predict(question: str, options: Sequence[str], key: str) -> None:
    """Ask for a guess: radio buttons, of which none is chosen; on a page without a kernel, plain text.

    Asked again, the question keeps the guess.

    Args:
        key: what :func:`reveal` refers to; unique in a notebook.

    Raises:
        UsageError: fewer than two options, or one of them twice.
    """
    if len(set(options)) < max(2, len(options)):
        raise UsageError("a prediction needs two options or more, each of them once")
    _asked[key] = asked = Question(question, tuple(options))
    if _guesses.get(key) not in asked.options:
        _guesses.pop(key, None)
    plain = "\n".join([f"Predict first: {question}", *(f"  ○ {option}" for option in options)])
    if not _in_notebook():
        print(plain)
        return
    items = "".join(f"<li>{text(option)}</li>" for option in options)
    html = f"<p><strong>Predict first:</strong> {text(question)}</p><ul>{items}</ul>"
    show(_buttons(asked, key), {"text/html": html, "text/plain": plain})


def reveal(key: str, answer: str) -> None:
    """Say in words how the guess and the answer compare.

    Args:
        answer: one of the options.

    Raises:
        UsageError: nothing was asked under this key, or the answer was not an option.
    """
    if key not in _asked:
        raise UsageError(f"no prediction {key}; run the cell that asks it first")
    if answer not in _asked[key].options:
        raise UsageError(f"{answer!r} is no option of {key}; they are {', '.join(_asked[key].options)}")
    guess = _guesses.get(key)
    if guess is None:
        print(f"You made no guess. The answer: {answer}.")
    elif guess == answer:
        print(f"✓ You guessed: {guess}. So it is.")
    else:
        print(f"✗ You guessed: {guess}. The answer: {answer}.")


def _buttons(asked: Question, key: str) -> Any:
    """The live form."""
    widgets = ipywidgets("predict")
    words = widgets.HTML(f"<strong>Predict first:</strong> {text(asked.words)}")
    choice = widgets.RadioButtons(options=asked.options, value=_guesses.get(key), layout={"width": "max-content"})
    noted = widgets.Label(_noted(choice.value))

    def note(change: dict[str, Any]) -> None:
        _guesses[key] = change["new"]
        noted.value = _noted(change["new"])

    choice.observe(note, names="value")
    return widgets.VBox([words, choice, noted])


def _noted(guess: str | None) -> str:
    return f"Noted: {guess}. Now run on." if guess else "Choose one, then run on."


def _in_notebook() -> bool:
    """Whether a kernel runs this, rather than a plain interpreter or a terminal's IPython."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
