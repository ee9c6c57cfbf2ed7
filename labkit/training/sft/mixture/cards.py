"""Documents about cards: arithmetic, rules for face cards, search told in thoughts, the answer format, revision.

========== ======================================================================================
kind       what it teaches
========== ======================================================================================
solve      two to four numbers and a target -> a thought and the formula
evaluate   a formula -> what it equals
map_faces  a rule for face cards and some cards -> what they count as
map_json   the same, as the first two fields of the JSON answer
in_json    the whole JSON answer under random rules, most with a thought
revise     the same with one to five wrong answers and the verifier's feedback in between
========== ======================================================================================

A thought (:mod:`labkit.envs.general_points.thoughts`) makes one try or a few. After some of the misses the search is
given up, and the answer says so: how long to search is left for post-training to learn. Of a try that missed, the model
learns what each step equals and that it missed; it does not learn to choose those steps.

Withheld: four numbers that make 24, in any way and anywhere; GeneralPoints' own prompt; the rule J=11, Q=12, K=13, in
any words. So no stage has seen a hand of the changed rule solved, and of the trained rule only the hands that
post-training deals. A rule gives all faces one number, or three; J=Q=K=10 is among the former. Some of the three stand
side by side (9, 10, 11), since those are the ones that are mixed up.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

from labkit.envs.general_points import expression, prompts, verifier
from labkit.envs.general_points.answers import answer_text, random_formula
from labkit.envs.general_points.cards import FACES, RANKS, numbers_of
from labkit.envs.general_points.prompts import face_sentence
from labkit.envs.general_points.thoughts import LARGEST, Thought, abandoned, reachable, search_length, think
from labkit.episode import Message, Verdict
from labkit.models.chat import Dialogue

_Choice = TypeVar("_Choice")

WITHHELD = 24
"""What no four numbers make in any document."""
TARGETS = range(10, 41)
"""Of four numbers, and of most hands of two or three."""
BARE = 0.2
"""Share of the JSON answers without a thought."""
WRONG_ANSWERS = {1: 4, 2: 3, 3: 3, 4: 4, 5: 3}
"""How many come before the right one in ``revise``. Long dialogues are common, since a model misreads the cards in
dialogues longer than those it has met."""
MISTAKES = {"missed": 60, "slip": 15, "rule": 12, "numbers": 8, "broken": 5}
"""Wrong answers: a search given up; a right thought with a wrong formula; another rule for face cards; a number lost or
doubled; an answer cut short."""


def vocabulary() -> list[str]:
    """Texts whose words the tokenizer must know although no document holds them: GeneralPoints' own prompts."""
    texts = [
        prompts.opening(("A", "J", "Q", "K"), faces, 24, picture=picture)
        for faces in FACES
        for picture in (False, True)
    ]
    return [*prompts.DEFAULT.values(), *texts] * 200


def _chat(question: str, answer: str, thought: str = "") -> Dialogue:
    return Dialogue((Message("user", question), Message("assistant", answer)), (1,), _abandoned(1, answer, thought))


def _abandoned(turn: int, answer: str, thought: str) -> tuple[tuple[int, int, int], ...]:
    """Where an answer chooses steps that led to nothing."""
    first = answer.find(thought)
    return tuple((turn, first + start, first + end) for start, end in abandoned(thought))


def _picked(rng: random.Random, weights: Mapping[_Choice, float]) -> _Choice:
    return rng.choices(tuple(weights), weights=tuple(weights.values()))[0]


def _problem(rng: random.Random, count: int) -> tuple[list[int], int]:
    """Numbers, and a target that steps can reach."""
    while True:
        numbers = [rng.randint(1, 13) for _ in range(count)]
        target = WITHHELD if count < 4 and rng.random() < 0.4 else rng.choice(TARGETS)
        if (count < 4 or target != WITHHELD) and target in reachable(tuple(sorted(numbers))):
            return numbers, target


def _search(
    rng: random.Random, numbers: Sequence[int], target: int, *, solved: bool | None = None, seen: Sequence = ()
) -> Thought:
    """A thought; where a short hand has too few tries that miss, one with a single try."""
    tries, solved = search_length(rng, solved)
    withheld = (WITHHELD,) if len(numbers) == 4 else ()
    try:
        return think(
            rng,
            numbers,
            target,
            tries=tries,
            solved=solved,
            seen=seen,
            avoid=withheld,
        )
    except ValueError:
        return think(rng, numbers, target)


def solve(rng: random.Random) -> Dialogue:
    numbers, target = _problem(rng, rng.choices((2, 3, 4), (1, 3, 6))[0])
    found = _search(rng, numbers, target)
    spaced, commas = " ".join(map(str, numbers)), ", ".join(map(str, numbers))
    question, answer = rng.choice(_SOLVE_LAYOUTS)
    fields = json.dumps({"number": numbers, "thought": found.text, "formula": found.formula})
    told = {"target": target, "spaced": spaced, "commas": commas}
    return _chat(
        question.format(**told), answer.format(thought=found.text, formula=found.formula, fields=fields), found.text
    )


_SOLVE_LAYOUTS = (
    ("{target} from {spaced}?", "{thought}\n{formula}"),
    ("Make {target}: {commas}", "{thought}\n{formula}"),
    ("{commas} -> {target}", "{thought}\n{formula}"),
    ('Numbers {commas}, target {target}.\nJSON with "number", "thought", "formula":', "{fields}"),
    ("Reach {target} with {commas}. Write a JSON object.", "{fields}"),
)


def evaluate(rng: random.Random) -> Dialogue:
    while True:
        numbers = [rng.randint(1, 13) for _ in range(rng.randint(2, 4))]
        formula = random_formula(rng, numbers)
        value = _value(formula)
        if value is None or value.denominator != 1 or not 1 <= value <= 99:
            continue
        if value != WITHHELD or len(numbers) < 4:
            return _chat(rng.choice(("{}=", "What is {}?")).format(formula), str(value))


def _value(formula: str) -> Fraction | None:
    try:
        return expression.evaluate(expression.parse(formula))
    except expression.FormulaError:
        return None


def _rule(rng: random.Random, needed: Sequence[int] = ()) -> dict[str, int]:
    """A rule that gives some face each of the ``needed`` numbers (three at most).

    Half the rules that can give all faces one number do so; the others give each face its own. A third of those lie
    side by side.
    """
    neighbours = [n for n in range(1, 12) if set(needed) <= {n, n + 1, n + 2}]
    while True:
        if len(needed) < 2 and rng.random() < 0.5:
            faces = dict.fromkeys("JQK", needed[0] if needed else rng.randint(1, 13))
        elif neighbours and rng.random() < 0.33:
            first = rng.choice(neighbours)
            faces = dict(zip("JQK", rng.sample(range(first, first + 3), 3), strict=True))
        else:
            values = [*needed, *(rng.randint(1, 13) for _ in range(3 - len(needed)))]
            faces = dict(zip("JQK", rng.sample(values, 3), strict=True))
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


def _hand(rng: random.Random, numbers: Sequence[int]) -> tuple[list[str], dict[str, int]]:
    """Ranks that count as the numbers, and the rule under which they do.

    A number over 10 needs a face card; a smaller one is shown by a face where the rule has one for it, mostly.
    """
    needed = sorted({n for n in numbers if n > 10})
    faces = _rule(rng, needed if needed else rng.sample(sorted(set(numbers)), rng.choice((0, 1, 1))))
    ranks = []
    for n in numbers:
        pictures = [face for face, value in faces.items() if value == n]
        if pictures and (n > 10 or rng.random() < 0.7):
            ranks.append(rng.choice(pictures))
        else:
            ranks.append("A" if n == 1 else str(n))
    return ranks, faces


_THINKING_LAYOUTS = (
    "Cards: {cards}\nReach {target} with + - * / and brackets. {rule}\n"
    'JSON with "cards", "number", "thought", "formula":',
    '{rule} Use {cards} to get {target}.\nGive "cards", "number", "thought" and "formula".',
    "In JSON, with a thought: how do the cards {cards} make {target}, each once? A counts as 1. {rule}",
)
_BARE_LAYOUTS = (
    "Cards: {cards}\nReach {target} with + - * / and brackets. {rule}\nWrite a JSON object.",
    'Game: {cards}; goal {target}; {rule}\nGive "cards", "number" and "formula".',
    "{rule} A counts as 1.\nCards: {cards}\nTarget: {target}\nAnswer in JSON.",
)


_PREFACES = (
    "Hello.",
    "A new hand.",
    "Here is the next one.",
    "You play against the clock.",
    "Take your time, and check what you write.",
    "The suits of the cards do not matter.",
    "This game is played with a deck of 52 cards.",
)


def _question(rng: random.Random, ranks: Sequence[str], faces: dict[str, int], target: int, *, bare: bool) -> str:
    """The question in a layout of this module, or, with a thought, in a variant of GeneralPoints' prompt.

    Up to three sentences that do not matter stand in front of most: with few lengths of prompts, a model learns to copy
    cards from the places where they stood in training, and miscopies them in a prompt of another length.
    """
    prefaces = rng.sample(_PREFACES, rng.randint(0, 3))
    if not bare and len(ranks) > 2 and rng.random() < 0.5:
        words = {name: rng.choice(texts) for name, texts in prompts.VARIANTS.items()}
        own = [name for name in words if name != "task" and rng.random() < 0.5]
        words |= {name: prompts.DEFAULT[name] for name in own}
        asked = prompts.opening(ranks, faces, target, picture=False, prompts=words)
    else:
        layout = rng.choice(_BARE_LAYOUTS if bare else _THINKING_LAYOUTS)
        asked = layout.format(cards=", ".join(ranks), target=target, rule=_rule_words(rng, faces))
    return " ".join([*prefaces, asked])


def _answer(
    ranks: Sequence[str], numbers: Sequence[int], found: Thought, *, bare: bool = False, opening: str = ""
) -> str:
    formula, value = found.formula.rsplit("=", 1)
    return answer_text(ranks, numbers, formula, int(value), thought=None if bare else opening + found.text)


def in_json(rng: random.Random) -> Dialogue:
    numbers, target = _problem(rng, rng.choices((2, 3, 4), (1, 2, 7))[0])
    ranks, faces = _hand(rng, numbers)
    bare = rng.random() < BARE
    found = think(rng, numbers, target) if bare else _search(rng, numbers, target)
    question = _question(rng, ranks, faces, target, bare=bare)
    return _chat(question, _answer(ranks, numbers, found, bare=bare), "" if bare else found.text)


def revise(rng: random.Random) -> Dialogue:
    numbers, target = _problem(rng, rng.choices((3, 4), (1, 9))[0])
    ranks, faces = _hand(rng, numbers)
    messages = [Message("user", _question(rng, ranks, faces, target, bare=False))]
    trained: list[int] = []
    untrained: list[tuple[int, int, int]] = []
    seen: list[tuple[str, ...]] = []
    opening = ""
    for _ in range(_picked(rng, WRONG_ANSWERS)):
        wrong = _wrong(rng, ranks, numbers, target, seen, opening)
        judged = verifier.verdict(verifier.read(wrong.text), ranks, faces, target)
        if judged.success or (len(numbers) == 4 and judged.evidence.get("value") == str(WITHHELD)):
            continue
        turn = len(messages)
        if wrong.trained:
            trained.append(turn)
            untrained += [(turn, start, end) for start, end in wrong.untrained]
        seen += wrong.tries
        messages += [Message("assistant", wrong.text), Message("user", judged.feedback)]
        opening = _opening(judged, numbers)
    found = _search(rng, numbers, target, solved=True, seen=seen)
    answer = _answer(ranks, numbers, found, opening=opening)
    untrained += _abandoned(len(messages), answer, found.text)
    trained.append(len(messages))
    messages.append(Message("assistant", answer))
    return Dialogue(tuple(messages), tuple(trained), tuple(untrained))


def _opening(judged: Verdict, numbers: Sequence[int]) -> str:
    """How a thought answers the feedback: with the value that was told, or with what the cards count as."""
    value = judged.evidence.get("value") or ""
    if judged.category == "wrong_value" and value.isdigit() and int(value) <= LARGEST:
        return f"{value} no; "
    return f"numbers {' '.join(map(str, numbers))}; " if judged.category == "wrong_numbers" else ""


class _Wrong(NamedTuple):
    """A wrong answer."""

    text: str
    trained: bool = False
    untrained: tuple[tuple[int, int], ...] = ()
    tries: tuple[tuple[str, ...], ...] = ()


def _wrong(
    rng: random.Random, ranks: Sequence[str], numbers: Sequence[int], target: int, seen: Sequence, opening: str
) -> _Wrong:
    """A wrong answer, which may be right by chance.

    What is true of it carries loss: all of a search given up, the cards and numbers of other answers.
    """
    kind = _picked(rng, MISTAKES)
    if kind == "slip":
        found = _search(rng, numbers, target, solved=True, seen=seen)
        text = _answer(ranks, numbers, found._replace(formula=_slipped(rng, found.formula)), opening=opening)
        return _Wrong(text, True, ((text.index('"thought"'), len(text)),))
    if kind == "numbers":
        used = list(numbers)
        used[rng.randrange(len(used))] = rng.choice((rng.choice(used), rng.randint(1, 13)))
        text = _answer(ranks, numbers, _tried(rng, used, target), opening=opening)
        return _Wrong(text, True, ((text.index('"thought"'), len(text)),))
    if kind == "rule":
        numbers = numbers_of(ranks, rng.choice((FACES["ten"], _rule(rng))))
        return _Wrong(_answer(ranks, numbers, _tried(rng, numbers, target), opening=opening))
    found = _search(rng, numbers, target, solved=False, seen=seen)
    text = _answer(ranks, numbers, found, opening=opening)
    if kind == "broken":
        return _Wrong(text[: rng.randrange(len(text))])
    first = text.index(found.text)
    return _Wrong(text, True, tuple((first + a, first + b) for a, b in abandoned(found.text)), found.tries)


def _tried(rng: random.Random, numbers: Sequence[int], target: int) -> Thought:
    """A thought about numbers which may be unable to reach the target."""
    solved = target in reachable(tuple(sorted(numbers))) and rng.random() < 0.5
    return _search(rng, numbers, target, solved=solved)


def _slipped(rng: random.Random, formula: str) -> str:
    """The formula with another operator, a number doubled, or one left out; its told value stays."""
    made, value = formula.rsplit("=", 1)
    if rng.random() < 0.6:
        at = rng.choice([n for n, c in enumerate(made) if c in "+-*/"])
        return f"{made[:at]}{rng.choice('+-*/'.replace(made[at], ''))}{made[at + 1 :]}={value}"
    numbers = [m.span() for m in re.finditer(r"\d+", made)]
    (a, b), (c, d) = rng.sample(numbers, 2)
    return f"{made[:a]}{made[c:d]}{made[b:]}={value}"
