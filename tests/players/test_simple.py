"""Players that are not models."""

import json
import random

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.players import Answer, Request
from labkit.players.simple import Expert, Random, Script


def turn(key=(0,), answers=(), hand=("K", "J", "3", "A"), **settings):
    episode = start(game("gp-l").task(hand=hand, **settings))
    for answer in answers:
        episode = judge(episode, answer)
    return Request(episode, (), key)


def text(player, *turns):
    return [answer.text for answer in player.answer(turns)]


@pytest.mark.parametrize("faces", ["ten", "eleven-twelve-thirteen", {"J": 5, "Q": 5, "K": 5}])
@pytest.mark.parametrize("cell", ["gp-l", "gp-vl"])
def test_the_expert_is_right_under_any_rule(cell, faces):
    settings = {"picture": {"size": 64}} if cell == "gp-vl" else {}
    episode = start(game(cell).task(hand=("Q", "2", "A", "7"), faces=faces, **settings))
    assert judge(episode, Expert().answer([Request(episode)])[0].text).success


def test_the_expert_answers_each_turn():
    answers = text(Expert(), turn(), turn(hand=("3", "3", "8", "8")), turn())
    assert answers[0] == answers[2] != answers[1]
    assert text(Expert()) == []


def test_the_expert_has_no_answer_where_there_is_none():
    with pytest.raises(UsageError):
        text(Expert(), turn(hand=("A", "A", "A", "A")))


def test_chance_is_keyed_by_episode_and_attempt():
    alone = text(Random(), turn((1, 2)))
    assert text(Random(), turn((5,)), turn((1, 2)))[1:] == alone  # not by its place in the batch
    random.seed(1)
    assert text(Random(), turn((1, 2))) == alone  # nor by the generator that others share
    others = [turn((1, 3)), turn((12,)), turn((1, 2), answers=("?",)), turn((1, 2), answers=("?", "?"))]
    assert len({*alone, *text(Random(), *others)}) > 3


def test_chance_answers_in_the_right_form():
    for seed in range(50):
        attempt = judge(turn().episode, text(Random(), turn((seed,)))[0]).attempts[0]
        assert attempt.verdict.category in ("correct", "wrong_value")
        assert attempt.verdict.evidence["cards_right"] and attempt.verdict.evidence["number_right"]


def test_a_script_gives_its_answers_in_order():
    script = Script(["a", "b", "c"])
    assert (text(script, turn(), turn()), text(script, turn())) == (["a", "b"], ["c"])
    with pytest.raises(UsageError, match="script has no answer left"):
        text(script, turn())
    assert script.answer([]) == []
    assert Script(["a"]).answer([turn()]) == [Answer("a")]


def test_a_script_file(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('"a"\n\n{"answer": "b\\n牌", "note": 1}\n   \n""\n', encoding="utf-8")
    script = Script.from_file(file)
    assert text(script, turn(), turn(), turn()) == ["a", "b\n牌", ""]
    assert script.name == f"script:{file}"
    with pytest.raises(UsageError, match="answers.jsonl"):
        text(script, turn())


def test_a_line_separator_in_an_answer_is_no_line_end(tmp_path):
    """JSON lets U+2028 and U+0085 stand in a string; a line of JSON lines ends in a line feed only."""
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps("one\u2028two\x85three", ensure_ascii=False) + "\n", encoding="utf-8")
    assert text(Script.from_file(file), turn()) == ["one\u2028two\x85three"]


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'\xef\xbb\xbf"a"\r\n"b"\r\n')
    assert text(Script.from_file(file), turn(), turn()) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    ["not json", "1", "null", "[]", "{}", '{"answer": 1}', '{"answer": null}', "[" * 100_000, '{"a":' * 50_000],
)
def test_a_bad_line_is_named(tmp_path, line):
    file = tmp_path / "answers.jsonl"
    file.write_text(f'"fine"\n{line}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="answers.jsonl:2") as caught:
        Script.from_file(file)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_file_that_cannot_be_read(tmp_path):
    for bad in (tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(UsageError, match="cannot read"):
            Script.from_file(bad)
    (tmp_path / "latin").write_bytes(b'"\xe9"')
    with pytest.raises(UsageError, match="UTF-8"):
        Script.from_file(tmp_path / "latin")
