"""The app's public functions, for programs: typed, without a screen, without a model."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.players import Catalogue
from labkit import envs
from labkit.envs.general_points.cards import FACES, parse_ranks
from labkit.envs.general_points.game import ranks_of
from labkit.errors import UsageError


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
        try:
            task = envs.game("gp-l").task(hand=parse_ranks(cards), faces=faces, target=target, attempts=1)
        except UsageError as error:
            raise gr.Error(str(error)) from None
        [attempt] = envs.judge(envs.start(task), answer).attempts
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
            seed: any whole number from 0.
            faces: ten, eleven-twelve-thirteen, or numbers such as J=5,Q=5,K=5.
            target: the number to reach.
        """
        suite = "rule-ood" if faces == list(FACES)[1] else "id"
        try:
            task = next(envs.game("gp-l").tasks(suite, seed=seed, faces=faces, target=target))
        except UsageError as error:
            raise gr.Error(str(error)) from None
        ranks = " ".join(ranks_of(task.deal))
        return {
            "cards": ranks,
            "faces": task.rule["faces"],
            "target": target,
            "prompt": envs.start(task).position.prompt,
        }

    def list_players() -> list[dict[str, str]]:
        """The players that the app offers: spec, kind and summary."""
        return [{"spec": i.spec, "kind": i.kind, "summary": i.summary} for i in catalogue.infos.values()]

    for function in (verify, new_task, list_players):
        gr.api(function, api_name=function.__name__, queue=False)
