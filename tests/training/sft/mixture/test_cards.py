"""What the foundation model may and may not know of cards before post-training."""

import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from labkit.envs.general_points import prompts, thoughts, verifier
from labkit.episode import Message
from labkit.models.chat import Dialogue
from labkit.training.sft import mixture
from labkit.training.sft.mixture import SHARES
from labkit.training.sft.mixture import cards as documents

sys.path.append(str(Path(__file__).parents[4] / "scripts"))
from mixture_leaks import leaks, tries

KINDS = {kind: share for kind, share in SHARES.items() if kind.__module__ == documents.__name__}


def draw(count):
    """Documents about cards, as often of each kind as the mixture has them."""
    rng = random.Random("cards")
    return [kind(rng) for kind in rng.choices(list(KINDS), weights=list(KINDS.values()), k=count)]


DOCUMENTS = draw(3000)


def learnt_answers():
    for document in DOCUMENTS:
        for turn in document.trained_turns:
            yield document, turn, document.messages[turn].text


def thought_of(answer):
    found = re.search(r'"thought": "([^"]*)"', answer)
    return found[1] if found else answer.split("\n")[0] if "=" in answer and "\n" in answer else None


def chat(question, answer):
    return Dialogue((Message("user", question), Message("assistant", answer)), (1,))


def test_the_same_step_gives_the_same_documents_and_another_step_others():
    assert mixture.documents(3, 7, 20) == mixture.documents(3, 7, 20)
    assert mixture.documents(3, 7, 20) != mixture.documents(3, 8, 20)


def test_no_document_makes_24_from_four_numbers_or_holds_the_probes_rule_or_a_games_own_prompt():
    found = [leak for document in DOCUMENTS for leak in leaks(document)]
    assert not found, found[:3]


@pytest.mark.parametrize(
    "leak",
    [
        chat("?", "(10-9)*8*3=24"),
        chat("?", '{"number": [10, 9, 8, 3], "formula": "3*8/(10-9)=30"}'),
        chat("?", "10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; back to 3 8 1; 8*1=8: 3 8; 3*8=24"),
        chat("?", "10+8=18: 9 3 18; 9+3=12: 18 12; 18-12=6 no; 8+10=18: 9 3 18; 9-3=6: 18 6; 18+6=24 no"),
        chat("J counts as 11, Q counts as 12, K counts as 13.", "."),
        chat("J=11, Q=12, K=13.", "."),
        chat(prompts.opening(("A", "J", "Q", "K"), {"J": 2, "Q": 2, "K": 2}, 20, picture=False), "."),
    ],
)  # fmt: skip
def test_the_leak_check_finds_what_it_looks_for(leak):
    assert list(leaks(leak))


def test_the_leak_check_passes_what_may_be_known():
    known = ("3*8=24", "6/2=3: 8 3; 8*3=24", "10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21", "2*12=24: 1 1 24; 24-1=23: 1 23")
    for answer in known:
        assert not list(leaks(chat("J counts as 12, Q counts as 11, K counts as 13.", answer)))


def test_every_told_step_is_true_and_every_try_is_told_as_it_ends():
    seen = 0
    for document, _, answer in learnt_answers():
        thought = thought_of(answer)
        if not thought:
            continue
        steps = thoughts.told(thought)
        assert all(step.true for step in steps), answer
        ends = re.findall(r"=(\d+)( no)?(?=; |$)", thought)
        target = target_of(document)
        if target is not None:
            assert [(int(value) == target) for value, _ in ends] == [not no for _, no in ends], (document, answer)
            seen += 1
    assert seen > 1500


def target_of(document):
    """The target that the first message asks for; None where it names none."""
    words = r"(?:[Rr]each|[Mm]ake|get|goal|[Tt]arget:?|formula worth|goal is|->) (\d+)|^(\d+) from"
    found = re.search(words, document.messages[0].text, re.MULTILINE)
    return int(found[1] or found[2]) if found else None


def test_formulas_equal_what_they_tell_and_use_the_listed_numbers():
    for document, turn, answer in learnt_answers():
        if turn != len(document.messages) - 1 or not answer.startswith("{") or "formula" not in answer:
            continue
        said = json.loads(answer)
        reading = verifier.read(answer)
        assert reading.value == reading.right_side, answer
        assert Counter(reading.numbers) == Counter(said["number"]), answer


def test_the_last_answer_of_a_revision_is_right_and_follows_the_verifiers_feedback():
    revisions = [d for d in DOCUMENTS if len(d.messages) > 2]
    assert len(revisions) > 0.8 * len(DOCUMENTS) * SHARES[documents.revise] / sum(KINDS.values())
    wrong = Counter(len(d.messages) // 2 - 1 for d in revisions)
    assert set(wrong) == {1, 2, 3, 4, 5}
    for document in revisions:
        for feedback in document.messages[2::2]:
            assert feedback.text.endswith(prompts.DEFAULT["again"])
        answer = document.messages[-1].text
        assert verifier.read(answer).value == target_of(document)


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


def test_choices_of_tries_that_missed_carry_no_loss_and_their_values_do():
    rng = random.Random(5)
    for _ in range(200):
        document = documents.solve(rng)
        answer = document.messages[1].text
        hidden = "".join(
            "#" if any(a <= at < b for _, a, b in document.untrained) else c for at, c in enumerate(answer)
        )
        for part in re.findall(r"([#\d+*/-]+)=\d+ no", hidden):
            assert set(part) == {"#"}
        assert not re.search(r"#(?=\d*(: | no))", hidden.replace("#=", "=")), hidden
        final = re.split(r"; |\n|\"", answer)
        solved = [part for part in final if re.fullmatch(r"\d+[-+*/]\d+=\d+", part)]
        assert all(part in hidden for part in solved)


def test_a_search_is_given_up_after_about_half_of_its_misses():
    stopped = went_on = 0
    for _, _, answer in learnt_answers():
        misses = re.findall(r"=\d+ no(; )?", thought_of(answer) or "")
        stopped += misses.count("")
        went_on += len(misses) - misses.count("")
    assert 0.4 < stopped / (stopped + went_on) < 0.6


@pytest.mark.parametrize("needed", [(), (11,), (11, 13), (11, 12, 13)])
def test_a_rule_offers_the_needed_numbers_and_is_never_the_probes(needed):
    for seed in range(300):
        faces = documents._rule(random.Random(seed), needed)
        assert set(needed) <= set(faces.values())
        assert (faces["J"], faces["Q"], faces["K"]) != (11, 12, 13)


def test_tries_of_a_thought_are_followed_back():
    text = (
        "5+1=6: 2 3 6; 2+3=5: 6 5; 6+5=11 no; back to 2 3 6; 3*6=18: 2 18; 2+18=20 no; 1*2=2: 5 3 2; 5+3=8: 2 8; 2*8=16"
    )
    assert list(tries(f'"thought": "{text}"')) == [
        ["5+1=6", "2+3=5", "6+5=11"],
        ["5+1=6", "3*6=18", "2+18=20"],
        ["1*2=2", "5+3=8", "2*8=16"],
    ]
