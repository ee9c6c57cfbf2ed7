"""What V-IRL measures: steps, routes, and where an answer goes wrong.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 5 and appendix C: per-step accuracy for
rules (figures 5 and 6), route success for other cities (figure 7). The other metrics are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from labkit.envs.virl import atlas
from labkit.episode import Attempt, Episode, Position
from labkit.evaluation.metrics import Estimate, Trials, mean, of_answers, of_episodes, share


def headline(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> tuple[str, Estimate]:
    """Route success in other cities and in free navigation, per-step accuracy elsewhere."""
    task = episodes[0].task
    if task.suite == "visual-ood" or task.rule.get("walk") == "free":
        return "route_success", of_episodes(episodes, lambda e: e.success, weights)
    return "per_step_accuracy", of_answers(episodes, lambda a: a.verdict.success, weights)


def measures(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """The metrics of this game.

    ``per_step_accuracy``: answers that are right; every attempt counts as one, as in the paper.
    ``turn_accuracy`` and ``other_accuracy``: the same where a turn is right, which is all that the action
    rule concerns, and elsewhere. ``route_success``: routes walked to the end. ``steps_before_failure``:
    positions passed in the episodes that failed. ``kept_old_rule``: first answers at turns that are wrong,
    but right under the other action rule. ``landmark_right`` and ``intersection_right``: answers whose
    observation agrees with what is there.
    """
    walks = sorted({e.task.rule.get("walk", "rail") for e in episodes})
    return {
        "walk": "+".join(walks),
        "per_step_accuracy": of_answers(episodes, lambda a: a.verdict.success, weights),
        "turn_accuracy": _where(episodes, _turns, lambda a: a.verdict.success, weights),
        "other_accuracy": _where(episodes, lambda p: not _turns(p), lambda a: a.verdict.success, weights),
        "route_success": of_episodes(episodes, lambda e: e.success, weights),
        "steps_before_failure": _steps_before_failure(episodes, weights),
        "kept_old_rule": share(map(_kept, episodes), weights),
        "landmark_right": of_answers(episodes, lambda a: _agrees(a, "landmark_right"), weights),
        "intersection_right": of_answers(episodes, lambda a: _agrees(a, "intersection_right"), weights),
    }


def _turns(position: Position) -> bool:
    return position.state["action"].startswith("turn_direction")


def _agrees(attempt: Attempt, what: str) -> bool:
    return bool(attempt.verdict.evidence.get(what))


def _where(
    episodes: Sequence[Episode],
    chosen: Callable[[Position], bool],
    holds: Callable[[Attempt], bool],
    weights: Sequence[float] | None,
) -> Estimate:
    """The share of answers at some positions for which something holds."""

    def trials(episode: Episode) -> Trials:
        answers = [a for p in episode.positions if chosen(p) for a in p.attempts]
        return Trials(sum(map(holds, answers)), len(answers))

    return share(map(trials, episodes), weights)


def _steps_before_failure(episodes: Sequence[Episode], weights: Sequence[float] | None) -> Estimate:
    rows = [(e, w) for e, w in zip(episodes, weights or [1.0] * len(episodes), strict=True) if not e.success]
    return mean([len(e.positions) - 1 for e, _ in rows], [w for _, w in rows])


def _kept(episode: Episode) -> Trials:
    first = [p.attempts[0] for p in episode.positions if p.attempts and p.attempts[0].other_rule]
    return Trials(sum(not a.verdict.success and a.other_rule.success for a in first), len(first))


def split_of(episode: Episode) -> str:
    """The split that the episode's route belongs to."""
    task = episode.task
    return atlas.split_of(task.suite, task.deal["route"]["id"], task.deal.get("data"))


def shares(episodes: Sequence[Episode]) -> list[float]:
    """The share of each route, where every one was walked once: all count alike."""
    return [1 / len(episodes)] * len(episodes)
