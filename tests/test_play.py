"""The drivers: one episode turn by turn, and many at once."""

import json
from itertools import islice

import pytest

from labkit.envs import fork, game, judge, replay, start
from labkit.episode import Sample
from labkit.errors import UsageError
from labkit.play import play, play_many, stream
from labkit.players.base import Answer
from labkit.players.simple import Expert, Random, Script

WRONG, RIGHT = '{"formula": "3+3+8+8=24"}', '{"formula": "8/(3-8/3)=24"}'


def task(**settings):
    return game("gp-l").task(hand=("3", "3", "8", "8"), **settings)


def tasks(count, **settings):
    return list(islice(game("gp-l").tasks("id", **settings), count))


class Watched:
    """Answers at random and writes down what it was asked."""

    name = "watched"

    def __init__(self):
        self.asked = []

    def answer(self, turns):
        self.asked.append(list(turns))
        answers = Random().answer(turns)
        return [Answer(a.text, Sample(len(a.text), 0, 0.0, 1.0, -float(i))) for i, a in enumerate(answers)]


# One episode


def test_stream_shows_every_step():
    shown = list(stream(task(), Script(["?", WRONG, RIGHT])))
    assert [len(e.attempts) for e in shown] == [0, 1, 2, 3]
    assert [e.status for e in shown] == ["open", "open", "open", "success"]
    assert shown[0] == start(task(), "script")
    for before, now, answer in zip(shown, shown[1:], ["?", WRONG, RIGHT], strict=False):
        assert judge(before, answer) == now


def test_play_is_the_end_of_the_stream():
    assert play(task(), Script(["?", RIGHT])) == list(stream(task(), Script(["?", RIGHT])))[-1]
    assert play(task(), Expert()).success
    assert play(task(attempts=2), Script(["?", "?"])).status == "exhausted"


def test_a_stream_asks_only_for_what_is_taken():
    watched = Watched()
    turns = stream(task(), watched)
    next(turns)
    assert watched.asked == []
    next(turns)
    assert len(watched.asked) == 1


def test_playing_is_replayed_by_its_key():
    assert play(task(), Random(), key=(3, 1)) == play(task(), Random(), key=(3, 1))
    assert play(task(), Random(), key=(3, 1)) != play(task(), Random(), key=(3, 2))
    answers = [a.answer for a in play(task(), Random()).attempts]
    assert len(set(answers)) == len(answers) == 5  # each attempt draws anew
    assert replay(play(task(), Random())) == play(task(), Random())


def test_a_fork_is_played_on():
    whole = play(task(), Script(["?", WRONG, RIGHT]))
    other = play(fork(whole, 1), Script([RIGHT], name="second"))
    assert [a.answer for a in other.attempts] == ["?", RIGHT]
    assert other.player == "second" and whole.player == "script"


def test_a_finished_episode_is_not_played_on():
    whole = play(task(), Expert())
    assert play(whole, Script([], name="expert")) == whole


def test_history_is_whole_or_empty():
    """A player that gets the tokens of some attempts only would send a model a dialogue with holes."""
    watched = Watched()
    for _ in stream(task(), watched):
        pass
    histories = [turn.history for (turn,) in watched.asked]
    assert [len(h) for h in histories] == [0, 1, 2, 3, 4]
    assert histories[4][:3] == histories[3]

    forked = fork(play(task(), Script(["?"] * 5)), 2)
    watched = Watched()
    for _ in stream(forked, watched):
        pass
    lengths = [(len(turn.history), len(turn.episode.position.attempts)) for (turn,) in watched.asked]
    assert lengths == [(0, 2), (0, 3), (0, 4)]


# Many at once


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_many_equal_one_by_one(batch):
    dealt = tasks(20)
    played = {p.index: p.episode for p in play_many(dealt, Random(), batch=batch, key=(7,))}
    assert sorted(played) == list(range(20))
    for index, one in enumerate(dealt):
        assert played[index] == play(one, Random(), key=(7, index))


def test_the_answers_of_each_episode_are_its_own():
    for played in play_many(tasks(10), Watched(), batch=4):
        assert [a.text for a in played.answers] == [a.answer for a in played.episode.attempts]
        assert [a.sample for a in played.answers] == [a.sample for a in played.episode.attempts]


def test_histories_of_many_are_whole():
    watched = Watched()
    list(play_many(tasks(10), watched, batch=4))
    for turn in (turn for call in watched.asked for turn in call):
        assert [a.text for a in turn.history] == [a.answer for a in turn.episode.attempts]


def test_the_batch_stays_full_until_the_tasks_run_out():
    watched = Watched()
    uneven = [task(attempts=1 + i % 3) for i in range(12)]  # so that places fall free one by one
    played = list(play_many(uneven, watched, batch=4))
    attempts = sum(len(p.episode.attempts) for p in played)
    sizes = [len(call) for call in watched.asked]
    assert len(played) == 12 and sum(sizes) == attempts
    begun = {turn.key for call in watched.asked for turn in call}
    assert len(begun) == 12
    # Fewer than four are asked only once all twelve have begun.
    seen = set()
    for call in watched.asked:
        seen |= {turn.key for turn in call}
        assert len(call) == 4 or len(seen) == 12
    assert sizes == sorted(sizes, reverse=True)


def test_an_endless_stream_of_tasks_can_be_played():
    dealt = game("gp-l").tasks("id")
    first = list(islice(play_many(dealt, Expert(), batch=4), 10))
    assert sorted(p.index for p in first)[:8] == list(range(8))
    assert all(p.episode.success for p in first)
    assert next(dealt).index <= 16  # no more were dealt than were to be played


def test_no_tasks_no_episodes():
    assert list(play_many([], Script([]))) == []


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_none_is_refused(batch):
    with pytest.raises((UsageError, ValueError)):
        list(play_many(tasks(3), Expert(), batch=batch))


def test_two_cells_can_be_played_together():
    mixed = [task(), game("gp-vl").task(hand=("3", "3", "8", "8"), picture={"size": 64})]
    assert [p.episode.task.cell for p in play_many(mixed, Expert())] == ["gp-l", "gp-vl"]


def test_a_player_that_gives_too_few_answers_is_an_error():
    class Lazy:
        name = "lazy"

        def answer(self, turns):
            return [Answer(json.dumps("?"))][: len(turns) - 1]

    with pytest.raises(ValueError):
        list(play_many(tasks(2), Lazy()))


def test_a_script_that_runs_out():
    with pytest.raises(UsageError, match="no answer left"):
        play(task(), Script(["?", "?"]))
    played = play_many([task(), task()], Script([WRONG, WRONG, RIGHT, RIGHT]), batch=2)
    assert [p.episode.success for p in played] == [True, True]
    with pytest.raises(UsageError):
        list(play_many([task(), task()], Script([RIGHT])))
