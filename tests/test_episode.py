"""Episodes as data: JSON both ways, forks and replays."""

import json
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.envs import fork, game, judge, prompt, replay, start
from labkit.episode import SCHEMA, Attempt, Episode, Message, Position, Sample, Task, Verdict

# Arbitrary episodes, of any game

numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
data = st.dictionaries(st.text(max_size=6), plain, max_size=4)
verdicts = st.builds(Verdict, st.text(max_size=9), st.booleans(), numbers, st.text(max_size=20), data)
samples = st.builds(
    Sample,
    st.integers(0, 999),
    st.integers(0, 999),
    numbers,
    numbers,
    numbers,
    st.booleans(),
    st.none() | numbers,
    st.integers(0, 99),
    st.none() | numbers,
)
attempts = st.builds(
    Attempt,
    st.text(),
    verdicts,
    data,
    st.none() | verdicts,
    st.lists(st.text(max_size=9), max_size=3).map(tuple),
    numbers,
    st.none() | samples,
)
positions = st.builds(Position, data, st.text(), st.none() | data, st.lists(attempts, max_size=3).map(tuple))
tasks = st.builds(
    Task,
    st.text(max_size=7),
    data,
    data,
    st.integers(1, 9),
    data,
    st.none() | data,
    st.none() | data,
    st.text(max_size=8),
    st.text(max_size=8),
    st.integers(),
    st.integers(0, 10**6),
)
episodes = st.builds(
    Episode,
    tasks,
    st.lists(positions, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["open", "success", "exhausted"]),
    st.text(max_size=9),
)


@given(episodes)
def test_json_both_ways(episode):
    line = episode.to_json()
    assert "\n" not in line and "\r" not in line
    assert Episode.from_json(line) == episode
    assert Episode.from_dict(episode.to_dict()) == episode
    assert json.loads(line)["schema"] == SCHEMA


def test_every_field_is_stored():
    """Each of these differs from its default, so that a field that is left out shows."""
    sample = Sample(5, 70, 0.25, 0.7, -3.5, True, -1.5, 3, 0.125)
    verdict = Verdict("wrong_value", False, -1.0, "The formula equals 22, not 24.", {"value": "22"})
    other = Verdict("correct", True, 5.0, "Correct.", {"failed": []})
    attempt = Attempt("3+3+8+8", verdict, {"formula": "3+3+8+8"}, other, ("arith_error",), -1.0, sample)
    task = Task(
        "gp-vl",
        {"cards": [["3", "S"]]},
        {"faces": "ten"},
        3,
        {"correct": 5},
        {"task": "x"},
        {"size": 9},
        "id",
        "dev",
        4,
        17,
    )
    position = Position({"target": 24}, "Make 24", {"recipe": {}, "hash": "ab"}, (attempt,))
    episode = Episode(task, (position,), "exhausted", "tiny")
    stored = json.loads(episode.to_json())
    assert stored["task"]["index"] == 17 and stored["task"]["picture"] == {"size": 9}
    assert stored["positions"][0]["attempts"][0]["sample"]["decisive_logp"] == -1.5
    assert Episode.from_json(episode.to_json()) == episode
    assert (attempt.reward, episode.reward, episode.done, episode.success) == (-2.0, -2.0, True, False)
    assert task.id.startswith("gp-vl/id/dev/s4/17-")


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "null",
        "1",
        '"x"',
        "not json",
        "",
        '{"task": 1}',
        '{"task": {}, "positions": []}',
        '{"schema": "one", "task": {}}',
    ],
)
def test_what_is_no_episode_is_refused(line):
    with pytest.raises(ValueError):
        Episode.from_json(line)


def test_a_newer_schema_is_refused_and_unknown_fields_are_not():
    stored = opened().to_dict()
    with pytest.raises(ValueError, match="newer"):
        Episode.from_dict({**stored, "schema": SCHEMA + 1})
    assert Episode.from_dict({**stored, "note": "by hand"}) == opened()


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_json_is_json(number):
    """RFC 8259 has no NaN and no Infinity: a browser that reads the line would fail on it."""
    episode = judge(opened(), "?", Sample(1, 1, 0.0, 1.0, logp=number))
    try:
        line = episode.to_json()
    except ValueError:
        return
    json.loads(line, parse_constant=pytest.fail)


# Forks and replays

WRONG, RIGHT = '{"formula": "3+3+8+8=24"}', '{"formula": "8/(3-8/3)=24"}'


def opened(**settings):
    return start(game("gp-l").task(hand=("3", "3", "8", "8"), **settings), "someone")


def after(*answers, **settings):
    episode = opened(**settings)
    for answer in answers:
        episode = judge(episode, answer)
    return episode


def test_judging_changes_nothing_that_was_there():
    before = opened()
    line = before.to_json()
    judge(before, WRONG)
    assert before.to_json() == line
    with pytest.raises(AttributeError):
        before.status = "success"


def test_the_sample_of_an_answer_is_kept():
    sample = Sample(3, 40, 0.1, 0.2, -1.0)
    assert judge(opened(), WRONG, sample).attempts[0].sample == sample
    assert judge(opened(), WRONG).attempts[0].sample is None


def test_the_next_prompt_grows_by_two_turns():
    one, two = after(WRONG), after(WRONG, "?")
    assert prompt(two)[: len(prompt(one))] == prompt(one)
    assert prompt(two)[-2:] == (Message("assistant", "?"), Message("user", two.attempts[-1].verdict.feedback))


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_fork_is_the_episode_before_that_attempt(at):
    whole = after("?", WRONG, RIGHT)
    assert fork(whole, at) == after(*["?", WRONG, RIGHT][:at])
    assert judge(fork(whole, at), RIGHT).success


def test_a_fork_of_an_exhausted_episode_has_its_attempts_again():
    whole = after("?", WRONG, attempts=2)
    again = judge(fork(whole, 1), WRONG)
    assert again == whole  # the penalty is on the last attempt once more
    assert fork(whole, 1).reward == -3


@pytest.mark.parametrize("at", [-1, 4, 99])
def test_a_fork_where_there_is_no_attempt_is_refused(at):
    with pytest.raises(IndexError):
        fork(after("?", WRONG, RIGHT), at)


@pytest.mark.parametrize("episode", [("?", WRONG, RIGHT), ("?",) * 5])
def test_behind_the_end_of_an_episode_there_is_nothing_to_fork(episode):
    whole = after(*episode)
    assert whole.done
    with pytest.raises(IndexError):
        fork(whole, len(whole.attempts))


def test_an_open_episode_can_be_forked_where_it_stands():
    assert fork(after("?", WRONG), 2) == after("?", WRONG)


def test_a_fork_of_no_position_is_refused():
    with pytest.raises(IndexError):
        fork(after("?"), 0, position=1)


def test_replay():
    for answers in [(), ("?",), ("?", WRONG, RIGHT), (WRONG,) * 5]:
        episode = after(*answers)
        assert replay(episode) == episode
        assert replay(Episode.from_json(episode.to_json())) == episode
    sampled = judge(opened(), WRONG, Sample(3, 40, 0.1, 0.2, -1.0))
    assert replay(sampled) == sampled


def test_replay_shows_what_has_changed():
    episode = after(WRONG)
    attempt = replace(episode.attempts[0], verdict=replace(episode.attempts[0].verdict, reward=9.0))
    tampered = replace(episode, positions=(replace(episode.position, attempts=(attempt,)),))
    assert replay(tampered) != tampered


def test_stored_tasks_are_dealt_again():
    for task in islice(game("gp-l").tasks("rule-ood", "dev", seed=3), 10):
        episode = start(task)
        assert start(Episode.from_json(episode.to_json()).task) == episode
