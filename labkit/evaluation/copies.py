"""Wrong answers that are copies of training answers: memorisation in the paper's sense.

"SFT Memorizes, RL Generalizes" (arXiv 2501.17161, section 1, footnote) calls memorisation a model's capacity to
give near-exact copies of training examples when it is prompted. The example here is the expert's answer to a deal of
the training split under the training rule. It is compared in the field that decides (``formula``, ``action``),
spaces aside, whatever the other fields say:

* a copy has the same letters;
* a near copy has at most one letter more, less or other: a normalised edit distance of about .1, formulas being some
  ten letters long.

Under the training rule a wrong formula that nearly makes 24 is often one letter away from one that does, so near
copies mean something under another rule only, and beside a player that has not been trained on the answers.

Only wrong answers are looked at: a right one may be a copy or not, the verdict is the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from labkit.envs.general_points import cards, solver
from labkit.episode import Attempt, Episode, Position
from labkit.evaluation.metrics import Trials

TARGET = 24
"""What training hands are to make."""
SOLUTIONS = 2
"""The expert's answer to a hand is one of so many simplest formulas, as the recipes of SFT have it."""
TRAINED_RULE = cards.suite_rule("id")
TRAINED_ACTIONS = "absolute"

Hand = tuple[int, ...]


@lru_cache(maxsize=1)
def training_formulas() -> Mapping[str, Hand]:
    """Every formula that the expert gives in the training split, and the numbers of its hand, in order."""
    hands = {tuple(sorted(cards.numbers_of(h.ranks, TRAINED_RULE))) for h in cards.hands("id", "train")}
    return {formula: hand for hand in sorted(hands) for formula in solver.simplest(hand, TARGET, SOLUTIONS)}


@lru_cache(maxsize=1)
def _shortened() -> Mapping[str, frozenset[str]]:
    """The training formulas by each text that they become when one letter is taken out."""
    found: dict[str, set[str]] = defaultdict(set)
    for formula in training_formulas():
        for short in _one_less(formula):
            found[short].add(formula)
    return {short: frozenset(formulas) for short, formulas in found.items()}


def _one_less(text: str) -> set[str]:
    return {text[:i] + text[i + 1 :] for i in range(len(text))}


def copied_hand(attempt: Attempt) -> Hand | None:
    """The training hand whose answer a GeneralPoints answer copies; None if it copies none."""
    return training_formulas().get(_formula(attempt))


def nearly_copied(attempt: Attempt) -> bool:
    """Whether a GeneralPoints answer is at most one letter away from the answer to a training hand."""
    text = _formula(attempt)
    if text in training_formulas() or text in _shortened():
        return True
    # One letter too many, or one letter other: then both become the same when that letter is taken out of them.
    for short in _one_less(text):
        if short in training_formulas():
            return True
        for formula in _shortened().get(short, ()):
            if len(formula) == len(text) and sum(a != b for a, b in zip(formula, text, strict=True)) == 1:
                return True
    return False


def _formula(attempt: Attempt) -> str:
    formula = attempt.fields.get("formula")
    return "".join(formula.partition("=")[0].split()) if isinstance(formula, str) else ""


def of_any_hand(episode: Episode) -> Trials:
    """The wrong answers of a game of cards, and those of them that copy the answer to any training hand."""
    wrong = [a for a in episode.attempts if not a.verdict.success]
    return Trials(sum(copied_hand(a) is not None for a in wrong), len(wrong))


def nearly_of_any_hand(episode: Episode) -> Trials:
    """The wrong answers of a game of cards, and those of them that copy or nearly copy one to a training hand."""
    wrong = [a for a in episode.attempts if not a.verdict.success]
    return Trials(sum(map(nearly_copied, wrong)), len(wrong))


def of_this_hand(episode: Episode) -> Trials:
    """The wrong answers, and those of them that copy the answer to the same cards under the training rule."""
    wrong = [a for a in episode.attempts if not a.verdict.success]
    dealt = tuple(sorted(cards.numbers_of(episode.positions[0].state["cards"], TRAINED_RULE)))
    return Trials(sum(copied_hand(a) == dealt for a in wrong), len(wrong))


def of_this_place(episode: Episode) -> Trials:
    """The wrong answers of a walk under another action rule than that of training, and those of them that give the
    action, letter for letter, that the expert would have given at that place in training."""
    if episode.task.rule["actions"] == TRAINED_ACTIONS:
        return Trials(0, 0)
    wrong = [(p, a) for p in episode.positions for a in p.attempts if not a.verdict.success]
    return Trials(sum(_copies_place(p, a) for p, a in wrong), len(wrong))


def _copies_place(position: Position, attempt: Attempt) -> bool:
    action = attempt.fields.get("action")
    return isinstance(action, str) and action.strip() == position.state["other_action"]
