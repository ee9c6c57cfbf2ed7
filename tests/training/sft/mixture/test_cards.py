"""What the foundation model may and may not know of cards before post-training."""

import json
import random
import re
from collections import Counter
from fractions import Fraction
from itertools import permutations

import pytest

from labkit.envs.general_points import cards, prompts, verifier
from labkit.training.sft import mixture
from labkit.training.sft.mixture import SHARES
from labkit.training.sft.mixture import cards as documents

KINDS = {kind: share for kind, share in SHARES.items() if kind.__module__ == documents.__name__}


def draw(count):
    """Documents about cards, as often of each kind as the mixture has them."""
    rng = random.Random("cards")
    return [kind(rng) for kind in rng.choices(list(KINDS), weights=list(KINDS.values()), k=count)]


DOCUMENTS = draw(4000)


def answers():
    for document in DOCUMENTS:
        yield document.messages[0].text, document.messages[-1].text


def reaches(numbers, target):
    """An independent check: fold any order of the numbers by any operators, two at a time."""
    if len(numbers) == 1:
        return numbers[0] == target
    for a, b, *rest in permutations(numbers):
        for value in (a + b, a - b, a * b, a / b if b else None):
            if value is not None and reaches((value, *rest), target):
                return True
    return False


def test_the_same_step_gives_the_same_documents_and_another_step_others():
    assert mixture.documents(3, 7, 20) == mixture.documents(3, 7, 20)
    assert mixture.documents(3, 7, 20) != mixture.documents(3, 8, 20)


def test_only_the_last_turn_is_learnt():
    for document in DOCUMENTS:
        assert document.learnt == (len(document.messages) - 1,)
        assert [m.role for m in document.messages] == ["user", "assistant"] * (len(document.messages) // 2)


def test_no_hand_of_the_unseen_split_is_solved_for_24():
    solved = set()
    for _, answer in answers():
        found = re.search(r"([-+*/()\d]+)=24\b", answer)
        numbers = sorted(int(n) for n in re.findall(r"\d+", found[1])) if found else []
        if len(numbers) == 4:
            solved.add(tuple(numbers))
    assert len(solved) > 700
    assert not [s for s in solved if cards.split_of(s) == "unseen"]


def test_the_rule_of_the_probe_and_the_games_own_prompt_never_appear():
    own = re.compile(re.escape(prompts.DEFAULT["task"].split("{")[0]) + r"24 from four cards")
    for document in DOCUMENTS:
        question = document.messages[0].text
        assert not own.search(question)
        assert not re.search(r"J\D*11\D+Q\D*12\D+K\D*13", question)


def test_json_answers_are_right_under_their_rule():
    for seed in range(1000):
        rng = random.Random(f"json/{seed}")
        dialogue = rng.choice((documents.in_json, documents.revise))(rng)
        question, answer = dialogue.messages[0].text, dialogue.messages[-1].text
        reading = verifier.read(answer)
        target = int(answer.rsplit("=", 1)[1].split('"')[0])
        assert reading.value == target, (question, answer)
        assert Counter(reading.numbers) == Counter(reading.stated)
        assert all(rank in question for rank in reading.cards)


def test_json_translations_are_right_under_their_rule():
    spoken = {
        r"J, Q and K each count as (\d+)|[Aa]ll face cards count as (\d+)": lambda n: dict.fromkeys("JQK", n[0]),
        r"J\D*(\d+)\D*Q\D*(\d+)\D*K\D*(\d+)": lambda n: dict(zip("JQK", n, strict=True)),
    }
    for seed in range(300):
        question, answer = (m.text for m in documents.map_json(random.Random(seed)).messages)
        rule = next(
            (rule([int(n) for n in found.groups() if n]))
            for pattern, rule in spoken.items()
            if (found := re.search(pattern, question))
        )
        said = json.loads(answer)
        assert list(said) == ["cards", "number"]
        assert said["number"] == [rule.get(c, 1 if c == "A" else c.isdigit() and int(c)) for c in said["cards"]]
        assert ", ".join(said["cards"]) in question


def test_known_hands_are_all_that_can_be_solved_but_the_unseen():
    known = documents.known_hands()
    for numbers in ((3, 3, 8, 8), (1, 1, 1, 1), (1, 5, 5, 5), (13, 13, 13, 13), (1, 11, 11, 13)):
        can = reaches(tuple(map(Fraction, numbers)), 24)
        assert (numbers in known) == (can and cards.split_of(numbers) != "unseen")


def test_revision_documents_hold_the_verifiers_own_feedback():
    dialogues = [d for d in DOCUMENTS if len(d.messages) > 2]
    # A few of those drawn as revisions get no wrong answer by chance.
    drawn = SHARES[documents.revise] / sum(KINDS.values())
    assert 0.75 * drawn < len(dialogues) / len(DOCUMENTS) < 1.15 * drawn
    for dialogue in dialogues:
        for message in dialogue.messages[2::2]:
            assert message.text.endswith(prompts.DEFAULT["again"])


@pytest.mark.parametrize("needed", [(), (11,), (11, 13), (11, 12, 13)])
def test_a_rule_offers_the_needed_numbers_and_is_never_the_probes(needed):
    for seed in range(300):
        faces = documents._rule(random.Random(seed), needed)
        assert set(needed) <= set(faces.values())
        assert (faces["J"], faces["Q"], faces["K"]) != (11, 12, 13)
