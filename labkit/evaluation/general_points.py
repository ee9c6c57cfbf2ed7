"""What GeneralPoints measures beyond success: where an answer goes wrong, and under which rule.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 5 (success, recognition accuracy). The
other metrics are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.envs import game
from labkit.envs.general_points import cards, verifier
from labkit.episode import Attempt, Episode, Verdict
from labkit.evaluation.metrics import Estimate, Trials, of_answers, of_episodes, share


def headline(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> tuple[str, Estimate]:
    """Success within the attempts allowed."""
    return "success", of_episodes(episodes, lambda e: e.success, weights)


def measures(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """The metrics of this game.

    ``legal``: answers whose formula can be read. ``valid``: answers whose formula, besides, uses each card
    once, as it counts under the rule. ``number_right``: answers whose ``number`` field translates the cards
    rightly. ``kept_old_rule``: see :func:`kept_old_rule`. ``solutions``: see :func:`solutions`. On ``gp-vl``
    also ``recognition`` (answers that name the dealt cards; paper, figure 8) and ``formula_success``
    (episodes in which some formula was right for the dealt cards, whether or not the answer named them: a
    wrong card ends the verdict, so success alone cannot tell the two apart).
    """
    out: dict[str, Any] = {
        "legal": of_answers(episodes, _legal, weights),
        "valid": of_answers(episodes, lambda a: valid(a.verdict), weights),
        "number_right": of_answers(episodes, lambda a: bool(a.verdict.evidence.get("number_right")), weights),
        "kept_old_rule": kept_old_rule(episodes, weights),
        "solutions": solutions(episodes),
    }
    if any(e.task.picture for e in episodes):
        out["recognition"] = of_answers(
            episodes, lambda a: bool(a.verdict.evidence.get("cards_right")), weights
        )
        out["formula_success"] = of_episodes(
            episodes, lambda e: any(map(_formula_right, e.attempts)), weights
        )
    return out


def valid(verdict: Verdict) -> bool:
    """Whether the answer holds a legal formula of the dealt numbers, each once."""
    return not {"unreadable", "illegal_formula", "wrong_numbers"} & set(verdict.evidence["failed"])


def _legal(attempt: Attempt) -> bool:
    return not {"unreadable", "illegal_formula"} & set(attempt.verdict.evidence["failed"])


def _formula_right(attempt: Attempt) -> bool:
    return set(attempt.verdict.evidence["failed"]) <= {"wrong_cards"}


def kept_old_rule(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> Estimate:
    """First answers that are wrong, but play by the other face rule: a legal formula of *its* numbers.

    Counted over the hands on which the two rules differ. On ``rule-ood`` this is the share that went on under
    the rule of training.
    """
    return share(map(_kept, episodes), weights)


def _kept(episode: Episode) -> Trials:
    first = episode.attempts[0] if episode.attempts else None
    if first is None or first.other_rule is None:
        return Trials(0, 0)
    return Trials(int(not first.verdict.success and valid(first.other_rule)))


def solutions(episodes: Sequence[Episode]) -> dict[str, int]:
    """How many right answers there are, and how many of them differ by more than order and bracketing."""
    right = [(e, a.answer) for e in episodes for a in e.attempts if a.verdict.success]
    distinct = {(_numbers(e), e.task.rule["target"], verifier.read(answer).canonical) for e, answer in right}
    return {"right": len(right), "distinct": len(distinct)}


def _numbers(episode: Episode) -> tuple[int, ...]:
    state = episode.positions[0].state
    return tuple(sorted(cards.numbers_of(state["cards"], state["faces"])))


def split_of(episode: Episode) -> str:
    """The split that the episode's hand belongs to."""
    return cards.split_of(_numbers(episode))


def shares(episodes: Sequence[Episode]) -> list[float]:
    """The share of the deals that each episode's hand stands for, where every hand was played once.

    Raises:
        ValueError: an episode's hand is not of its suite.
    """
    if not episodes:
        return []
    task = episodes[0].task
    suits = game(task.cell).suits_of(task.suite)
    found = cards.hands(
        task.suite, task.split, faces=task.rule["faces"], target=task.rule["target"], suits=suits
    )
    weight = {hand.ranks: hand.weight for hand in found}
    total = sum(weight.values())
    ranks = [tuple(sorted(e.positions[0].state["cards"], key=cards.RANKS.index)) for e in episodes]
    for hand in ranks:
        if hand not in weight:
            raise ValueError(f"{' '.join(hand)} is not a hand of suite {task.suite}")
    return [weight[hand] / total for hand in ranks]
