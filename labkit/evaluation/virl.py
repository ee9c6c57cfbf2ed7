"""What V-IRL measures: steps, routes, and where an answer goes wrong.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 5 and appendix C: per-step accuracy for
rules (figures 5 and 6), route success for other cities (figure 7). The other metrics are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from labkit.envs.ladder import suite_under
from labkit.envs.virl import sources
from labkit.envs.virl.walk import instruction_of
from labkit.episode import Attempt, Episode, Position, Task
from labkit.evaluation import copies
from labkit.evaluation.metrics import Estimate, Trials, mean, measured, per_answer, per_episode


def _turns(position: Position) -> bool:
    return position.state["action"].startswith("turn_direction")


def _stop_or_go(episode: Episode) -> list[Position]:
    """The positions of the rail at which the words leave open whether the destination is reached.

    The prompt tells whether there is an intersection, and the instruction what to do there. Only on the last leg
    neither says whether to stop or to go on: that takes a look for the landmark.
    """
    last = len(instruction_of(episode.task)) - 1
    return [p for p in episode.positions if "step" in p.state and p.state["sentence"] == last and not _turns(p)]


def _first_at_sight(*actions: str) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of right first attempts where the picture decides and one of some actions is
    right. First attempts, since the feedback on a wrong one leaves a single action."""

    def trials(episode: Episode) -> Trials:
        asked = [p for p in _stop_or_go(episode) if p.state["action"] in actions and p.attempts]
        return Trials(sum(p.attempts[0].verdict.success for p in asked), len(asked))

    return trials


def _landmarks_named(episode: Episode) -> Trials:
    """The answers given where there is a landmark, and those that name it."""
    told = [
        a.verdict.evidence.get("landmark_right") for p in episode.positions if p.state["landmarks"] for a in p.attempts
    ]
    return Trials(sum(map(bool, told)), len(told))


def _agrees(attempt: Attempt, what: str) -> bool:
    return bool(attempt.verdict.evidence.get(what))


def _where(chosen: Callable[[Position], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of right answers at some positions."""

    def trials(episode: Episode) -> Trials:
        answers = [a for p in episode.positions if chosen(p) for a in p.attempts]
        return Trials(sum(a.verdict.success for a in answers), len(answers))

    return trials


def _first_attempts(chosen: Callable[[Position], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of right first attempts at some positions."""

    def trials(episode: Episode) -> Trials:
        first = [p.attempts[0] for p in episode.positions if p.attempts and chosen(p)]
        return Trials(sum(a.verdict.success for a in first), len(first))

    return trials


def _first_position(episode: Episode) -> Trials:
    first = episode.positions[0].attempts[:1]
    return Trials(sum(a.verdict.success for a in first), len(first))


def _kept(episode: Episode) -> Trials:
    first = [p.attempts[0] for p in episode.positions if p.attempts]
    both = [(a.verdict, a.other_rule) for a in first if a.other_rule]
    return Trials(sum(not verdict.success and other.success for verdict, other in both), len(both))


RATES: dict[str, Callable[[Episode], Trials]] = {
    "per_step_accuracy": per_answer(lambda a: a.verdict.success),
    "turn_accuracy": _where(_turns),
    "other_accuracy": _where(lambda p: not _turns(p)),
    "turns_first_attempt": _first_attempts(_turns),
    "first_position": _first_position,
    "route_success": per_episode(lambda e: e.success),
    "kept_old_rule": _kept,
    "copied": copies.of_this_place,
    "landmark_right": per_answer(lambda a: _agrees(a, "landmark_right")),
    "landmark_named": _landmarks_named,
    "intersection_right": per_answer(lambda a: _agrees(a, "intersection_right")),
    "stop_or_go": _first_at_sight("stop()", "forward()"),
    "stop_right": _first_at_sight("stop()"),
    "go_right": _first_at_sight("forward()"),
}
"""``per_step_accuracy``: answers that are right; every attempt counts as one, as in the paper. ``turn_accuracy`` and
``other_accuracy``: the same where a turn is right, which is all that the action rule concerns, and elsewhere. A
player who fails at the first turn is never asked the steps that it knows, so these shares are of those who got there.
``turns_first_attempt``: first attempts at turns that are right. ``first_position``: first attempts at the first
position, a turn, that are right: every route counts once. ``route_success``: routes walked to the end.
``kept_old_rule``: first answers at turns that are wrong, but right under the other action rule. ``copied``: wrong
answers that copy a training answer (:mod:`labkit.evaluation.copies`). ``landmark_right`` and ``intersection_right``:
answers whose observation agrees with what is there; ``landmark_named``: the same of landmarks, where there is one.

On ``virl-vl`` also what only the picture decides: on the last leg of a route, whether this is the destination.
``stop_or_go``: first attempts there that are right; ``stop_right`` and ``go_right``: those at the destination, and
before it. Who never looks can have one of the two at the cost of the other."""

ASKED_ONCE: dict[str, Callable[[Episode], Trials]] = {
    "every_position": per_answer(lambda a: a.verdict.success),
    "every_position_turns": _where(_turns),
    "every_position_others": _where(lambda p: not _turns(p)),
    "every_position_stop": _first_at_sight("stop()"),
    "every_position_go": _first_at_sight("forward()"),
}
"""The same where every position of a route was asked once, with the expert's history, so that there are no survivors:
answers that are right, at turns, and elsewhere; on ``virl-vl`` also where only the picture decides (see
``stop_right`` and ``go_right``)."""

BESIDE = ("turns_first_attempt", "first_position", "every_position", "every_position_turns", "route_success")
"""See :data:`labkit.evaluation.default.BESIDE`."""

LABELS = {
    "per_step_accuracy": "answers that are right",
    "turn_accuracy": "  at turns",
    "other_accuracy": "  elsewhere",
    "turns_first_attempt": "turns right at the first attempt",
    "first_position": "first position right at the first attempt",
    "every_position": "every position asked once, right",
    "every_position_turns": "every turn asked once, right",
    "every_position_others": "every other position asked once, right",
    "route_success": "routes walked to the end",
    "kept_old_rule": "first answer by the other rule",
    "copied": "wrong answers copied from training",
    "steps_before_failure": "steps before a failure (mean)",
    "landmark_right": "landmarks recognised",
    "landmark_named": "  where there is one",
    "intersection_right": "intersections recognised",
    "stop_or_go": "stop or go on, decided by the picture",
    "stop_right": "  at the destination",
    "go_right": "  before it",
    "every_position_stop": "destination asked once, right",
    "every_position_go": "last leg before it asked once, right",
}
"""The measures in plain words; see :data:`labkit.evaluation.default.LABELS`."""


PICTURES = ("stop_or_go", "stop_right", "go_right")
"""The shares that are of pictures only."""
SIGHT = "stop_or_go"
"""The measure of what only the picture tells; see :mod:`labkit.evaluation.ladder`."""


def headline(task: Task) -> str:
    """Route success in other cities and in free navigation, per-step accuracy elsewhere."""
    free = task.rule.get("walk") == "free"
    return "route_success" if free or suite_under(task.cell, task.suite) == "visual-ood" else "per_step_accuracy"


def measures(
    episodes: Sequence[Episode],
    weights: Sequence[float] | None = None,
    deals: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """The metrics of this game: :data:`RATES`, and positions passed in the episodes that failed."""
    walks = sorted({e.task.rule.get("walk", "rail") for e in episodes})
    pictures = any(e.task.picture for e in episodes)
    told = {name: trials for name, trials in RATES.items() if pictures or name not in PICTURES}
    return {
        "walk": "+".join(walks),
        **measured(told, episodes, weights, deals),
        "steps_before_failure": _steps_before_failure(episodes, weights, deals),
    }


def _steps_before_failure(
    episodes: Sequence[Episode], weights: Sequence[float] | None, deals: Sequence[Hashable] | None
) -> Estimate:
    columns = zip(episodes, weights or [1.0] * len(episodes), deals or range(len(episodes)), strict=True)
    rows = [row for row in columns if not row[0].success]
    return mean([len(e.positions) - 1 for e, _, _ in rows], [w for _, w, _ in rows], [d for _, _, d in rows])


def split_of(episode: Episode) -> str:
    """The split that the episode's route belongs to."""
    task = episode.task
    return sources.split_of(suite_under(task.cell, task.suite), task.deal["route"]["id"], task.deal.get("data"))


def deal_weights(episodes: Sequence[Episode]) -> list[float]:
    """The share of each route, where every one was walked once: all count alike."""
    return [1 / len(episodes)] * len(episodes)
