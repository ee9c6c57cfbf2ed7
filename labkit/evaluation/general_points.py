"""What GeneralPoints measures beyond success: where an answer goes wrong, and under which rule.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), section 5 (success, recognition accuracy). The
other metrics are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from labkit.envs import game
from labkit.envs.general_points import cards, thoughts, verifier
from labkit.envs.ladder import suite_under
from labkit.episode import Attempt, Episode, Task, Verdict
from labkit.evaluation import copies
from labkit.evaluation.metrics import Estimate, Trials, mean, measured, per_answer, per_episode, share


def valid(verdict: Verdict) -> bool:
    """Whether the answer holds a legal formula of the dealt numbers, each once."""
    return not {"unreadable", "illegal_formula", "wrong_numbers"} & set(verdict.evidence["failed"])


def _legal(attempt: Attempt) -> bool:
    return not {"unreadable", "illegal_formula"} & set(attempt.verdict.evidence["failed"])


def _formula_right(attempt: Attempt) -> bool:
    return set(attempt.verdict.evidence["failed"]) <= {"wrong_cards"}


def _cards_right(attempt: Attempt) -> bool:
    return bool(attempt.verdict.evidence.get("cards_right"))


def _number_right(attempt: Attempt) -> bool:
    return bool(attempt.verdict.evidence.get("number_right"))


def _where(given: Callable[[Attempt], bool], holds: Callable[[Attempt], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share, among its answers for which one thing holds, of those for which another
    does."""

    def trials(episode: Episode) -> Trials:
        answers = [a for a in episode.attempts if given(a)]
        return Trials(sum(map(holds, answers)), len(answers))

    return trials


def _cards_named(episode: Episode) -> Trials:
    """The cards that answers name and that were dealt, of all that were dealt, or named where those are more."""
    dealt = Counter(episode.positions[0].state["cards"])
    named = [Counter(verifier.read(attempt.answer).cards or ()) for attempt in episode.attempts]
    counts = (max(dealt.total(), cards.total()) for cards in named)
    return Trials(sum((dealt & cards).total() for cards in named), sum(counts))


def _kept(episode: Episode) -> Trials:
    first = episode.attempts[0] if episode.attempts else None
    if first is None or first.other_rule is None:
        return Trials(0, 0)
    return Trials(int(not first.verdict.success and valid(first.other_rule)))


def _faces_as_ten(episode: Episode) -> Trials:
    """Translated face cards that count differently under the training rule, and those given its numbers."""
    state = episode.positions[0].state
    trained = cards.face_values(copies.TRAINED_RULE)
    changed = {r for r in trained if cards.number_of(r, state["faces"]) != trained[r]}
    hits = count = 0
    for attempt in episode.attempts:
        read = verifier.read(attempt.answer)
        # An answer may name the cards in another order; then its numbers are in that one.
        named = read.cards if read.cards and Counter(read.cards) == Counter(state["cards"]) else state["cards"]
        if read.stated is None or len(read.stated) != len(named):
            continue
        told = [number == trained[rank] for rank, number in zip(named, read.stated, strict=True) if rank in changed]
        hits, count = hits + sum(told), count + len(told)
    return Trials(hits, count)


def _with_a_face(episode: Episode) -> Trials:
    """Success, where a face card was dealt."""
    faces = set(episode.positions[0].state["cards"]) & set(cards.face_values(copies.TRAINED_RULE))
    return Trials(int(episode.success and bool(faces)), int(bool(faces)))


def _steps_true(episode: Episode) -> Trials:
    """The steps that thoughts tell, and those that equal what they say."""
    told = [step for attempt in episode.attempts for step in _steps(attempt)]
    return Trials(sum(step.true for step in told), len(told))


def _last_steps_true(episode: Episode) -> Trials:
    """The same of the last step of each try, which says what the try comes to."""
    told = [step for attempt in episode.attempts for step in _steps(attempt) if not step.remaining]
    return Trials(sum(step.true for step in told), len(told))


def _formula_given_thought(episode: Episode) -> Trials:
    """The answers whose thought ends at the target by a true step, and those of them whose formula is right."""
    ends = [(attempt, _steps(attempt)[-1:]) for attempt in episode.attempts]
    target = episode.task.rule["target"]
    solved = [a for a, last in ends for s in last if s.true and s.value == target and not s.remaining]
    return Trials(sum(map(_formula_right, solved)), len(solved))


def _steps(attempt: Attempt) -> list[thoughts.Told]:
    thought = verifier.read(attempt.answer).fields.get("thought")
    return thoughts.told(thought) if isinstance(thought, str) else []


def _at_attempt(number: int, holds: Callable[[Attempt], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of answers of one attempt for which something holds."""

    def trials(episode: Episode) -> Trials:
        answers = episode.attempts[number : number + 1]
        return Trials(sum(map(holds, answers)), len(answers))

    return trials


RATES: dict[str, Callable[[Episode], Trials]] = {
    "legal": per_answer(_legal),
    "valid": per_answer(lambda a: valid(a.verdict)),
    "number_right": per_answer(_number_right),
    "steps_true": _steps_true,
    "last_steps_true": _last_steps_true,
    "formula_given_thought": _formula_given_thought,
    "number_right_first": _at_attempt(0, _number_right),
    "faces_as_ten": _faces_as_ten,
    "face_hands": _with_a_face,
    "kept_old_rule": _kept,
    "copied": copies.of_any_hand,
    "copied_same_cards": copies.of_this_hand,
    "nearly_copied": copies.nearly_of_any_hand,
    "recognition": per_answer(_cards_right),
    "recognition_per_card": _cards_named,
    "translation": _where(_cards_right, _number_right),
    "formula_given_numbers": _where(lambda a: _cards_right(a) and _number_right(a), _formula_right),
    "formula_success": per_episode(lambda e: any(map(_formula_right, e.attempts))),
}
"""``legal``: answers whose formula can be read. ``valid``: answers whose formula, besides, uses each card once,
as it counts under the rule. ``number_right``: answers whose ``number`` field translates the cards rightly.
``steps_true``: steps of thoughts (:mod:`labkit.envs.general_points.thoughts`) that equal what they say;
``last_steps_true``: those that end a try; ``formula_given_thought``: answers with a right formula, of those whose
thought ends at the target by a true step. ``number_right_first``: ``number_right`` of first answers, before a dialogue
can mislead. ``faces_as_ten``: face cards that the ``number`` field gives as what they count in training, where the
rule says otherwise. ``face_hands``: success in the hands that hold a face card, which are those that the face rule is
about. ``kept_old_rule``: first answers that are wrong, but play by the other face rule, with a legal formula of *its*
numbers; counted over the hands on which the two rules differ. On ``rule-ood`` this is the share that went on under the
rule of training. ``copied`` and, of those, ``copied_same_cards``: wrong answers that copy a training
answer; ``nearly_copied``: or nearly so (:mod:`labkit.evaluation.copies`).

On ``gp-vl`` an answer is taken apart into what it sees and what it makes of it. ``recognition``: answers that name the
dealt cards, in any order (paper, figure 8). ``recognition_per_card``: cards named that were dealt, of those dealt.
``translation``: answers whose ``number`` is right, of those that name the dealt cards. ``formula_given_numbers``: those
whose formula is right, of those whose cards and numbers are. ``formula_success``: episodes in which some formula was
right for the dealt cards, whether or not the answer named them: a wrong card ends the verdict, so success alone cannot
tell sight from reasoning."""

ASKED_ONCE: dict[str, Callable[[Episode], Trials]] = {}
"""A hand has one position; see :data:`labkit.evaluation.default.ASKED_ONCE`."""

BESIDE = ("first_attempt", "number_right_first", "faces_as_ten", "steps_true", "formula_given_thought")
"""See :data:`labkit.evaluation.default.BESIDE`."""

LABELS = {
    "number_right_first": "numbers right in first answers",
    "right_by_attempt": "right answers in attempt",
    "legal": "answers with a legal formula",
    "valid": "  and each card used once",
    "number_right": "numbers translated rightly",
    "number_right_by_attempt": "  in attempt",
    "steps_true": "steps of thoughts that are true",
    "last_steps_true": "  of these, last steps of a try",
    "formula_given_thought": "formula right, where the thought finds it",
    "faces_as_ten": "face cards read as in training",
    "face_hands": "success in hands with a face card",
    "kept_old_rule": "first answer by the other rule",
    "copied": "wrong answers copied from training",
    "copied_same_cards": "  from these very cards",
    "nearly_copied": "  copied but for a letter, or so",
    "recognition": "all cards recognised",
    "recognition_per_card": "  cards recognised, one by one",
    "translation": "  of these answers, numbers right",
    "formula_given_numbers": "    and of these, formula right",
    "formula_success": "a formula right for the cards",
    "solutions_a_deal": "different solutions a deal (mean)",
}
"""The measures in plain words; see :data:`labkit.evaluation.default.LABELS`."""

PICTURES = ("recognition", "recognition_per_card", "translation", "formula_given_numbers", "formula_success")
"""The shares that are of pictures only."""
SIGHT = "recognition"
"""The measure of what only the picture tells; see :mod:`labkit.evaluation.ladder`."""


def headline(task: Task) -> str:
    """Success within the attempts allowed."""
    return "success"


def measures(
    episodes: Sequence[Episode],
    weights: Sequence[float] | None = None,
    deals: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """The metrics of this game: :data:`RATES`, :func:`by_attempt`, :func:`solutions`, and :func:`solutions_a_deal`
    where deals were sampled several times."""
    pictures = any(e.task.picture for e in episodes)
    told = {name: trials for name, trials in RATES.items() if pictures or name not in PICTURES}
    out = {**measured(told, episodes, weights, deals), "solutions": solutions(episodes)}
    out |= by_attempt(episodes, weights, deals)
    if deals:
        out["solutions_a_deal"] = solutions_a_deal(episodes, deals, weights)
    return out


def by_attempt(
    episodes: Sequence[Episode], weights: Sequence[float] | None = None, deals: Sequence[Hashable] | None = None
) -> dict[str, dict[str, Estimate]]:
    """``right_by_attempt`` and ``number_right_by_attempt``: first answers, second answers and so on that are right, and
    whose numbers are, of the episodes that get so far. Keys are attempts, from ``"1"``."""
    most = max((e.task.attempts for e in episodes), default=0)
    told = {
        "right_by_attempt": lambda a: a.verdict.success,
        "number_right_by_attempt": _number_right,
    }
    return {
        name: {
            str(n + 1): share(map(_at_attempt(n, holds), episodes), weights, deals)
            for n in range(most)
            if any(len(e.attempts) > n for e in episodes)
        }
        for name, holds in told.items()
    }


def solutions(episodes: Sequence[Episode]) -> dict[str, int]:
    """How many right answers there are, and how many of them differ by more than order and bracketing."""
    right = [found for e in episodes for found in _found(e)]
    return {"right": len(right), "distinct": len(set(right))}


def solutions_a_deal(
    episodes: Sequence[Episode], deals: Sequence[Hashable], weights: Sequence[float] | None = None
) -> Estimate:
    """How many different solutions of a deal its samples found, on average: variety that success does not show."""
    found: dict[Hashable, set[Any]] = {deal: set() for deal in deals}
    weight = dict(zip(deals, weights or [1.0] * len(episodes), strict=True))
    for episode, deal in zip(episodes, deals, strict=True):
        found[deal].update(_found(episode))
    return mean([len(s) for s in found.values()], [weight[deal] for deal in found])


def _found(episode: Episode) -> list[tuple[Any, ...]]:
    """The right answers of an episode, each as its hand, target and canonical formula."""
    right = [a.answer for a in episode.attempts if a.verdict.success]
    return [(_numbers(episode), episode.task.rule["target"], verifier.read(a).canonical) for a in right]


def _numbers(episode: Episode) -> tuple[int, ...]:
    state = episode.positions[0].state
    return tuple(sorted(cards.numbers_of(state["cards"], state["faces"])))


def split_of(episode: Episode) -> str:
    """The split that the episode's hand belongs to."""
    return cards.split_of(_numbers(episode))


def deal_weights(episodes: Sequence[Episode]) -> list[float]:
    """The share of the deals that each episode's hand stands for, where every hand was played once.

    Raises:
        ValueError: an episode's hand is not of its suite.
    """
    if not episodes:
        return []
    task = episodes[0].task
    cell: Any = game(task.cell)
    suite = suite_under(task.cell, task.suite)
    suits = cell.suits_of(suite)
    found = cards.hands(suite, task.split, faces=task.rule["faces"], target=task.rule["target"], suits=suits)
    weight = {hand.ranks: hand.weight for hand in found}
    total = sum(weight.values())
    ranks = [tuple(sorted(e.positions[0].state["cards"], key=cards.RANKS.index)) for e in episodes]
    for hand in ranks:
        if hand not in weight:
            raise ValueError(f"{' '.join(hand)} is not a hand of suite {task.suite}")
    return [weight[hand] / total for hand in ranks]
