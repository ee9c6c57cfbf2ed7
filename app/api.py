"""The app's public functions, for programs: typed, without a screen, without a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from app.shared.catalogue import Catalogue
from app.shared.settings import LAST_SEED, Whole
from labkit import envs
from labkit.envs.general_points.cards import FACES, parse_ranks
from labkit.envs.general_points.game import ranks_of
from labkit.errors import UsageError

LONGEST = 20_000
"""Characters of a text argument, at most."""


def publish(catalogue: Catalogue) -> None:
    """Declare the public endpoints of the Blocks that is being built."""

    def verify(cards: str, answer: str, faces: str = "ten", target: int = 24) -> dict[str, Any]:
        """Judge a GeneralPoints answer.

        Args:
            cards: the ranks dealt, such as "3 3 8 8".
            answer: what the player wrote: text that holds a JSON object with cards, number and formula.
            faces: ten, eleven-twelve-thirteen, or numbers such as J=5,Q=5,K=5.
            target: the number to reach.
        """
        with _errors():
            game = envs.game("gp-l")
            task = game.task(
                hand=parse_ranks(_text("cards", cards)), faces=_text("faces", faces), target=target, attempts=1
            )
        [attempt] = envs.judge(envs.start(task), _text("answer", answer)).attempts
        verdict = attempt.verdict
        return {
            "success": verdict.success,
            "category": verdict.category,
            "reward": verdict.reward,
            "feedback": verdict.feedback,
            "tags": list(attempt.tags),
            "success_under_other_rule": attempt.other_rule.success if attempt.other_rule else verdict.success,
        }

    def new_task(seed: int = 0, faces: str = "ten", target: int = 24) -> dict[str, Any]:
        """Deal a solvable hand. The same arguments deal the same hand.

        Args:
            seed: a whole number from 0 to 2147483647.
            faces: ten, eleven-twelve-thirteen, or numbers such as J=5,Q=5,K=5.
            target: the number to reach.
        """
        suite = "rule-ood" if faces == list(FACES)[1] else "id"
        with _errors():
            number = Whole(0, LAST_SEED).check(seed, "seed")
            task = next(envs.game("gp-l").tasks(suite, seed=number, faces=_text("faces", faces), target=target))
        ranks = " ".join(ranks_of(task.deal))
        return {
            "cards": ranks,
            "faces": task.rule["faces"],
            "target": target,
            "prompt": envs.start(task).position.prompt,
        }

    def list_players() -> list[dict[str, str]]:
        """The players that the app offers: name, kind and summary."""
        return [{"name": name, "kind": i.kind, "summary": i.summary} for name, i in catalogue.infos.items()]

    for function in (verify, new_task, list_players):
        gr.api(function, api_name=function.__name__, queue=False)


@contextmanager
def _errors() -> Iterator[None]:
    """An invalid argument is told to the caller in one line."""
    try:
        yield
    except UsageError as error:
        raise gr.Error(str(error)) from None


def _text(name: str, value: Any) -> str:
    """Text of a bounded length.

    Raises:
        gr.Error: it is not text, or longer than an answer can be.
    """
    if not isinstance(value, str):
        raise gr.Error(f"{name} must be text, not {str(value)[:60]}")
    if len(value) > LONGEST:
        raise gr.Error(f"{name} has {len(value):,} characters; give at most {LONGEST:,}")
    return value
