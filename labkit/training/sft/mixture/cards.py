"""Documents about cards: arithmetic, rules for face cards, the answer format, revision.

========== ======================================================================================
kind       what it teaches
========== ======================================================================================
solve      numbers and a target, in compact layouts -> a formula (one of the simplest)
targets    the same for two to four numbers and other targets
evaluate   a formula -> what it equals
map_faces  a rule for face cards and some cards -> what they count as
map_json   the same, as the first two fields of the JSON answer, in layouts other than GeneralPoints' own
compose    a rule and four cards -> the numbers and a formula, in plain words
in_json    the whole JSON answer, under random rules, in layouts other than GeneralPoints' own
revise     the same with one to three wrong answers and the verifier's feedback in between
========== ======================================================================================

The last two are rare: reading any rule, and the formulas, are the foundation; to put them together in one answer is
what post-training has to teach.

What is kept out, so that post-training has something to show: GeneralPoints' own prompt; the rule J=11, Q=12,
K=13 (in any layout); and the hands of the ``unseen`` split with target 24 (in any layout). A rule is either
one number for all faces or three random ones; J=Q=K=10 is one of the former.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations_with_replacement

from labkit.envs.general_points import expression, prompts, solver, verifier
from labkit.envs.general_points.answers import answer_text, mistaken, random_formula
from labkit.envs.general_points.cards import FACES, RANKS, numbers_of, split_of
from labkit.envs.general_points.prompts import face_sentence
from labkit.episode import Message
from labkit.models.chat import Dialogue

SIMPLEST = 2
"""A hand's formula is one of this many simplest ones; more would blur what the model can learn in minutes."""


def vocabulary() -> list[str]:
    """Texts whose words the tokenizer must know although no document holds them: GeneralPoints' own prompts."""
    texts = [
        prompts.opening(("A", "J", "Q", "K"), faces, 24, picture=picture)
        for faces in FACES
        for picture in (False, True)
    ]
    return [*prompts.DEFAULT.values(), *texts] * 200


@lru_cache(maxsize=1)
def known_hands() -> dict[tuple[int, ...], tuple[str, ...]]:
    """Every multiset of four numbers from 1 to 13 that reaches 24, but the unseen ones, with its formulas."""
    found: dict[tuple[int, ...], tuple[str, ...]] = {}
    for numbers in combinations_with_replacement(range(1, 14), 4):
        if split_of(numbers) != "unseen":
            formulas = tuple(solver.simplest(numbers, 24, SIMPLEST))
            if formulas:
                found[numbers] = formulas
    return found


@lru_cache(maxsize=1)
def _hand_list() -> tuple[tuple[int, ...], ...]:
    return tuple(known_hands())


def _chat(question: str, answer: str) -> Dialogue:
    return Dialogue((Message("user", question), Message("assistant", answer)), (1,))


def _shuffled(rng: random.Random, items: Sequence) -> list:
    return rng.sample(list(items), len(items))


def solve(rng: random.Random) -> Dialogue:
    numbers = rng.choice(_hand_list())
    formula = rng.choice(known_hands()[numbers])
    return _compact(rng, _shuffled(rng, numbers), 24, formula)


def _compact(rng: random.Random, numbers: Sequence[int], target: int, formula: str) -> Dialogue:
    layout = rng.choice(("{target} from {spaced}?", "{commas} -> {target}", "Make {target}: {commas}"))
    spaced, commas = " ".join(map(str, numbers)), ", ".join(map(str, numbers))
    return _chat(layout.format(target=target, spaced=spaced, commas=commas), f"{formula}={target}")


def targets(rng: random.Random) -> Dialogue:
    return _compact(rng, *_expression(rng, rng.randint(2, 4)))


def _expression(rng: random.Random, count: int) -> tuple[list[int], int, str]:
    """Shuffled numbers, a target from 1 to 99, and a formula of the numbers that reaches it."""
    while True:
        numbers = [rng.randint(1, 13) for _ in range(count)]
        formula = random_formula(rng, numbers)
        value = _value(formula)
        if value is None or value.denominator != 1 or not 1 <= value <= 99:
            continue
        if value == 24 and count == 4 and split_of(numbers) == "unseen":
            continue
        return _shuffled(rng, numbers), int(value), formula


def _value(formula: str) -> Fraction | None:
    try:
        return expression.evaluate(expression.parse(formula))
    except expression.FormulaError:
        return None


def evaluate(rng: random.Random) -> Dialogue:
    _, value, formula = _expression(rng, rng.randint(2, 4))
    return _chat(rng.choice(("{}=", "What is {}?")).format(formula), str(value))


def _rule(rng: random.Random, needed: Sequence[int] = ()) -> dict[str, int]:
    """A rule that gives some face each of the ``needed`` numbers (three at most).

    Half the rules that can give all faces one number do so; the others give each face its own.
    """
    while True:
        if len(needed) < 2 and rng.random() < 0.5:
            faces = dict.fromkeys("JQK", needed[0] if needed else rng.randint(1, 13))
        else:
            values = [*needed, *(rng.randint(1, 13) for _ in range(3 - len(needed)))]
            faces = dict(zip("JQK", _shuffled(rng, values), strict=True))
        if faces != FACES["eleven-twelve-thirteen"]:
            return faces


def _rule_words(rng: random.Random, faces: dict[str, int]) -> str:
    """The rule in one of several wordings, GeneralPoints' own among them."""
    j, q, k = faces["J"], faces["Q"], faces["K"]
    spoken = [face_sentence(faces), f"J={j}, Q={q}, K={k}.", f"J is {j}, Q is {q} and K is {k}."]
    if j == q == k:
        spoken.append(f"All face cards count as {j}.")
    return rng.choice(spoken) if rng.random() < 0.5 else spoken[0]


def _cards(rng: random.Random) -> list[str]:
    """Two to five cards. Faces are dealt more often than in a deck: they are what there is to learn."""
    return [rng.choice("JQK") if rng.random() < 0.5 else rng.choice(RANKS) for _ in range(rng.randint(2, 5))]


def map_faces(rng: random.Random) -> Dialogue:
    faces, ranks = _rule(rng), _cards(rng)
    layout = rng.choice(("{rule}\n{cards}", "{cards}\n{rule}", "A counts as 1. {rule}\nCards: {cards}"))
    question = layout.format(rule=_rule_words(rng, faces), cards=", ".join(ranks))
    return _chat(question, ", ".join(map(str, numbers_of(ranks, faces))))


def map_json(rng: random.Random) -> Dialogue:
    faces, ranks = _rule(rng), _cards(rng)
    layout = rng.choice(_MAP_LAYOUTS)
    question = layout.format(rule=_rule_words(rng, faces), cards=", ".join(ranks))
    cards, numbers = ", ".join(f'"{rank}"' for rank in ranks), ", ".join(map(str, numbers_of(ranks, faces)))
    return _chat(question, f'{{"cards": [{cards}], "number": [{numbers}]}}')


_MAP_LAYOUTS = (
    "Cards: {cards}\n{rule}\nWrite a JSON object with the cards and their numbers.",
    '{rule} What do {cards} count as?\nJSON with "cards", "number":',
    "In JSON: cards {cards}, numbers? A counts as 1. {rule}",
    '{rule} A counts as 1.\nCards: {cards}\nGive "cards" and "number".',
)


def _hand(rng: random.Random) -> tuple[list[str], dict[str, int], list[int], int, tuple[str, ...]]:
    """Ranks, a rule, their numbers, a target and formulas that reach it.

    Numbers with a known formula come first; then a rule under which cards can show them (a number over 10 needs
    a face card), so that faces under random rules are common and every hand has a known formula.
    """
    if rng.random() < 1 / 3:
        numbers, target, formula = _expression(rng, rng.randint(2, 3))
        formulas: tuple[str, ...] = (formula,)
    else:
        chosen = rng.choice(_hand_list())
        numbers, target, formulas = _shuffled(rng, chosen), 24, known_hands()[chosen]
    faces = _rule(rng, sorted({n for n in numbers if n > 10}))
    ranks = []
    for n in numbers:
        pictures = [face for face, value in faces.items() if value == n]
        if pictures and (n > 10 or rng.random() < 0.7):
            ranks.append(rng.choice(pictures))
        else:
            ranks.append("A" if n == 1 else str(n))
    return ranks, faces, numbers, target, formulas


def compose(rng: random.Random) -> Dialogue:
    ranks, faces, numbers, target, formulas = _hand(rng)
    layout = rng.choice(("{rule} {target} from {cards}?", "Cards: {cards}\n{rule}\nReach {target}."))
    question = layout.format(rule=_rule_words(rng, faces), target=target, cards=", ".join(ranks))
    return _chat(question, f"{', '.join(map(str, numbers))}: {rng.choice(formulas)}={target}")


_JSON_LAYOUTS = (
    "Cards: {cards}\nReach {target} with + - * / and brackets. {rule}\nWrite a JSON object.",
    '{rule} Use {cards} to get {target}.\nJSON with "cards", "number", "formula":',
    'Game: {cards}; goal {target}; {rule}\nGive "cards", "number" and "formula".',
    "In JSON: how do the cards {cards} make {target}, each once? A counts as 1. {rule}",
    "{rule} A counts as 1.\nCards: {cards}\nTarget: {target}\nAnswer in JSON.",
)


def _question(rng: random.Random, ranks: Sequence[str], faces: dict[str, int], target: int) -> str:
    return rng.choice(_JSON_LAYOUTS).format(cards=", ".join(ranks), target=target, rule=_rule_words(rng, faces))


def in_json(rng: random.Random) -> Dialogue:
    ranks, faces, numbers, target, formulas = _hand(rng)
    answer = answer_text(ranks, numbers, rng.choice(formulas), target)
    return _chat(_question(rng, ranks, faces, target), answer)


def revise(rng: random.Random) -> Dialogue:
    ranks, faces, numbers, target, formulas = _hand(rng)
    messages = [Message("user", _question(rng, ranks, faces, target))]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        wrong = mistaken(rng, ranks, numbers, target, lambda: rng.choice((FACES["ten"], _rule(rng))))
        judged = verifier.verdict(verifier.read(wrong), ranks, faces, target)
        if not judged.success:
            messages += [Message("assistant", wrong), Message("user", judged.feedback)]
    messages.append(Message("assistant", answer_text(ranks, numbers, rng.choice(formulas), target)))
    return Dialogue(tuple(messages), (len(messages) - 1,))
