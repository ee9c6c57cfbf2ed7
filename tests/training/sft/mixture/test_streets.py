"""What the foundation model may and may not know of walks before post-training."""

import json
import random
import re

import pytest

from labkit.envs import game, prompt, start
from labkit.envs.virl import prompts
from labkit.envs.virl.city import routes
from labkit.envs.virl.city.cities import CITIES, city
from labkit.training.sft.mixture import streets

KINDS = (streets.walk, streets.sentence, streets.step, streets.in_json, streets.revise)
COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
RELATIVE = ("left", "right", "slightly left", "slightly right")


def draw(kind, count=300):
    return [kind(random.Random(f"{kind.__name__}/{n}")) for n in range(count)]


def lines(question):
    """The numbered sentences of the instruction, and the log of what was seen and done."""
    told, _, log = question.partition("turn_direction(x)" if "turn_direction(x)" in question else "Turns: ")
    sentences = dict(re.findall(r"^(\d+)\. (.+)$", told, re.M))
    return {int(n): text for n, text in sentences.items()}, log


def follow(question):
    """The sentence and action that a careful reader finds: one sentence of two for each turn already made."""
    sentences, log = lines(question)
    made = len(re.findall(r"turn_direction\((?!x\))", log))
    now = [line for line in log.splitlines() if "intersection" in line][-1]
    goal = re.search(r"destination(?:, where (.+) is .*)?\.", sentences[max(sentences)])[1]
    relative = not any(word in log for word in COMPASS)
    if goal in now:
        return sentences[max(sentences)], "stop()"
    first = "intersection" not in "".join(log.splitlines()[:-2]) and made == 0
    if "There is an intersection" in now or first:
        turn = sentences[2 * made + 1]
        word, compass = re.fullmatch(r"Turn (.+) to face (.+)\.", turn).groups()
        return turn, f"turn_direction({word if relative else compass})"
    return sentences[2 * made], "forward()"


@pytest.mark.parametrize("kind", [streets.sentence, streets.step, streets.in_json])
def test_the_answer_is_what_a_careful_reader_finds(kind):
    for document in draw(kind):
        question, answer = document.messages[0].text, document.messages[-1].text
        sentence, action = follow(question)
        if kind is streets.sentence:
            assert answer == sentence, question
        elif kind is streets.step:
            assert answer == action, question
        else:
            fields = json.loads(answer)
            assert (fields["current instruction"], fields["action"]) == (sentence, action), question
            assert fields["current observation"] in question.splitlines()[-2]


def test_what_is_to_be_said_is_said_again():
    for document in draw(streets.repeat):
        assert document.messages[0].text == f"Say: {document.messages[1].text}"


def test_reading_is_word_for_word():
    for document in draw(streets.read):
        *listed, asked = document.messages[0].text.splitlines()
        number = re.fullmatch(r"(?:Sentence|Read|Say) (\d)\.", asked)[1]
        assert f"{number}. {document.messages[1].text}" in listed
        assert 2 <= len(listed) <= 5


def test_a_walk_learns_every_action_and_ends_at_the_destination():
    for document in draw(streets.walk, 100):
        assert document.trained_turns == tuple(range(1, len(document.messages), 2))
        *on, last = [document.messages[n].text for n in document.trained_turns]
        assert last == "stop()"
        assert "stop()" not in on
        told = document.messages[0].text
        assert len([a for a in on if a.startswith("turn")]) == len(re.findall(r"^\d+\. Turn", told, re.M))


def test_both_ways_to_name_a_turn_occur_as_often_as_is_said():
    words = [re.fullmatch(r"turn_direction\((.+)\)", d.messages[-1].text) for d in draw(streets.step, 1000)]
    named = [match[1] for match in words if match]
    assert 400 < len(named) < 600
    assert set(named) == {*COMPASS, *RELATIVE}
    assert 0.24 < sum(word in RELATIVE for word in named) / len(named) < 0.36


def test_bearings_agree_with_the_compass():
    for document in draw(streets.bearing):
        question, answer = document.messages[0].text, document.messages[-1].text
        named = re.findall(r"\b(?:north|south)?(?:east|west)\b|\bnorth\b|\bsouth\b", question)
        start_at = COMPASS.index(named[0])
        if len(named) == 2:
            eighths = (COMPASS.index(named[1]) - start_at) % 8
            expected = {1: "slightly right", 7: "slightly left"}.get(eighths, "right" if eighths <= 4 else "left")
        else:
            turned = {"slightly right": 1, "slightly left": -1, "right": 2, "left": -2}
            eighths = next(n for word, n in turned.items() if f"turn {word}:" in question)
            expected = COMPASS[(start_at + eighths) % 8]
        assert answer == expected, question


def test_a_revision_holds_a_wrong_answer_and_the_verifiers_own_words():
    documents = draw(streets.revise)
    revised = [d for d in documents if len(d.messages) == 4]
    assert len(revised) > 0.7 * len(documents)
    for document in revised:
        question, wrong, feedback, right = (m.text for m in document.messages)
        assert document.trained_turns == (3,)
        assert wrong != right
        assert feedback.endswith(prompts.DEFAULT["again"])
        assert json.loads(right)["action"] == follow(question)[1]


def test_the_games_own_prompt_and_the_cities_routes_never_appear():
    own = [*prompts.DEFAULT["task"].splitlines(), prompts.DEFAULT["format"]]
    task = next(game("virl-l").tasks("id", "train", seed=0))
    assert all(line in prompt(start(task))[0].text for line in own)
    documents = [d for kind in KINDS for d in draw(kind, 200)]
    for document in documents:
        assert not any(line in document.messages[0].text for line in own)
    walked = {m.sightings[0].name for r in routes.routes(city(CITIES[0]), 50) for m in r.milestones if m.sightings}
    told = [re.findall(r"where (.+?) is ", d.messages[0].text) for d in documents]
    assert not any(len(names) > 1 and set(names) <= walked for names in told)
