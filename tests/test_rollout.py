"""From episodes to rows and turns, against positions worked out by hand."""

import numpy as np
import pytest
import torch

from labkit.envs import game
from labkit.episode import Attempt, Episode, Position, Sample, Task, Verdict
from labkit.errors import UsageError
from labkit.play import Played, play_many
from labkit.players.base import Answer, Tokens
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import collate, gather
from tests import tiny_models
from tests.training import small_games


def attempt(reward, penalty=0.0, success=False):
    sample = Sample(tokens=1, prompt_tokens=1, seconds=0.0, temperature=1.0, logp=0.0)
    return Attempt("", Verdict("v", success, reward, ""), penalty=penalty, sample=sample)


def answer(context, ids, decisive=(0, 0)):
    logp = -np.arange(1, len(ids) + 1, dtype=np.float32)
    return Answer("", tokens=Tokens(np.array(context, np.int64), np.array(ids, np.int64), logp, decisive))


def played(index, *positions):
    """An episode whose positions are lists of (answer, attempt)."""
    task = Task(cell="bandit", deal={}, rule={}, attempts=3, reward={}, index=index)
    stands = tuple(Position({}, "", attempts=tuple(a for _, a in pairs)) for pairs in positions)
    return Played(index, Episode(task, stands, "success"), tuple(a for pairs in positions for a, _ in pairs))


FIRST = [10, 11, 12]
REVISED = played(
    1,
    [
        (answer(FIRST, [20, 21, 1], (1, 2)), attempt(-1.0)),
        (answer([*FIRST, 20, 21, 1, 13, 14], [22, 1], (0, 1)), attempt(5.0, success=True)),
    ],
)
# Two positions: a dialogue never outlives its own.
WALK = played(
    0,
    [(answer([30, 31], [40, 1], (0, 2)), attempt(1.0, success=True))],
    [
        (answer([32, 33, 34], [41]), attempt(-1.0)),
        (answer([32, 33, 34, 41, 35], [42, 43, 1], (1, 3)), attempt(-1.0, -2.0)),
    ],
)


def test_a_dialogue_is_one_row_and_each_answer_a_span_of_it():
    rollout = gather([REVISED])
    (row,) = rollout.rows
    assert row.ids.tolist() == [10, 11, 12, 20, 21, 1, 13, 14, 22, 1]
    assert row.sampled.nonzero()[0].tolist() == [3, 4, 5, 8, 9]
    assert row.turn.tolist() == [0, 0, 0, 1, 1]
    assert row.decisive.tolist() == [False, True, False, True, False]
    assert row.logp.tolist() == [-1, -2, -3, -1, -2]
    assert rollout.turn_EK.tolist() == [[0, 1]]
    assert rollout.reward_EK.tolist() == [[-1, 5]]


def test_every_position_has_a_row_and_turns_go_on_over_all_of_them():
    # Given in the order that they ended in; taken in the order of their tasks.
    rollout = gather([REVISED, WALK])
    assert [row.ids.tolist() for row in rollout.rows] == [
        [30, 31, 40, 1],
        [32, 33, 34, 41, 35, 42, 43, 1],
        [10, 11, 12, 20, 21, 1, 13, 14, 22, 1],
    ]
    assert [row.sampled.nonzero()[0].tolist() for row in rollout.rows] == [[2, 3], [3, 5, 6, 7], [3, 4, 5, 8, 9]]
    assert [row.turn.tolist() for row in rollout.rows] == [[0, 0], [1, 2, 2, 2], [3, 3, 3, 4, 4]]
    assert [row.decisive.nonzero()[0].tolist() for row in rollout.rows] == [[0, 1], [2, 3], [1, 3]]
    assert rollout.turn_EK.tolist() == [[0, 1, 2], [3, 4, -1]]
    # The penalty of an exhausted episode is on its last turn.
    assert rollout.reward_EK.tolist() == [[1, -1, -3], [-1, 5, 0]]
    assert rollout.return_E.tolist() == [-3, 4]
    assert rollout.sampled_tokens == 11 and rollout.turns == 5


def test_arrays_go_to_turns_and_tokens_and_back():
    rollout = gather([REVISED, WALK])
    for row, values in zip(rollout.rows, ([1, 2], [3, 4, 5, 6], [7, 8, 9, 10, 11]), strict=True):
        row.arrays["value"] = np.array(values, np.float32)
    assert rollout.over_turns("value").tolist() == [[1, 3, 4], [7, 10, 0]]
    spread = rollout.over_tokens("value")
    assert spread.tolist() == [
        [[1, 2, 0], [3, 0, 0], [4, 5, 6]],
        [[7, 8, 9], [10, 11, 0], [0, 0, 0]],
    ]
    assert (rollout.mask_EKT == (spread > 0)).all()
    rollout.set_tokens("again", spread)
    assert [row.arrays["again"].tolist() for row in rollout.rows] == [[1, 2], [3, 4, 5, 6], [7, 8, 9, 10, 11]]
    rollout.set_turns("turn", np.array([[10, 20, 30], [40, 50, 0]], np.float32))
    assert [row.arrays["turn"].tolist() for row in rollout.rows] == [[10, 10], [20, 30, 30, 30], [40, 40, 40, 50, 50]]


def test_an_answer_that_found_the_context_full_is_no_turn_and_costs_the_turn_before():
    full = played(
        0,
        [
            (answer([10], [20, 21]), attempt(-1.0)),
            (answer([10, 20, 21, 13], []), attempt(-1.0)),
            (answer([10, 20, 21, 13, 13], []), attempt(-1.0, -4.0)),
        ],
    )
    never = played(1, [(answer([9] * 50, []), attempt(-1.0, -4.0))])
    rollout = gather([full, never])
    # The row ends with its last sampled token: what was sent in vain would not fit the model.
    assert [row.ids.tolist() for row in rollout.rows] == [[10, 20, 21]]
    assert rollout.turn_EK.tolist() == [[0], [-1]]
    assert rollout.reward_EK.tolist() == [[-7], [0]]
    assert rollout.return_E.tolist() == [-7, -5]


def test_nothing_but_what_a_model_sampled_can_be_trained_on():
    with pytest.raises(ValueError, match="only sampled answers"):
        gather([played(0, [(Answer("b"), attempt(5.0))])])
    with pytest.raises(UsageError, match="longer"):
        gather([played(0, [(answer([9] * 50, []), attempt(-1.0))])])


def test_collate_pads_on_the_right_to_a_multiple_of_eight():
    batch = collate(gather([REVISED, WALK]).rows[1:], pad_id=99)
    assert batch["input_ids"].tolist() == [
        [32, 33, 34, 41, 35, 42, 43, 1, *[99] * 8],
        [10, 11, 12, 20, 21, 1, 13, 14, 22, 1, *[99] * 6],
    ]
    assert batch["attention_mask"].sum(1).tolist() == [8, 10]
    assert batch["attention_mask"][:, :8].all()
    assert [row.nonzero()[:, 0].tolist() for row in batch["sampled"]] == [[3, 5, 6, 7], [3, 4, 5, 8, 9]]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    tiny_models.save(folder, tiny_models.llama(max_position_embeddings=4096), tiny_models.tokenizer())
    from labkit.models.loader import load

    return load(folder)


@pytest.mark.parametrize("cell", ["gp-l", "virl-l"])
def test_what_was_really_played_lies_in_the_rows_id_for_id(loaded, cell):
    tasks = [task for task, _ in zip(game(cell).tasks("id", "train", attempts=3), range(2), strict=False)]
    found = sorted(
        play_many(tasks, Checkpoint(loaded, name="m", temperature=1.0, max_new_tokens=6)), key=lambda p: p.index
    )
    rollout = gather(found)
    answers = [a.tokens for p in found for a in p.answers]
    sampled = np.concatenate([row.ids[row.sampled] for row in rollout.rows])
    assert sampled.tolist() == np.concatenate([t.ids for t in answers]).tolist()
    assert np.concatenate([row.turn for row in rollout.rows]).tolist() == [
        n for n, t in enumerate(answers) for _ in t.ids
    ]
    # In front of each answer stands what it was sampled from.
    at = 0
    for row in rollout.rows:
        for turn in np.unique(row.turn):
            begins = row.sampled.nonzero()[0][row.turn == turn][0]
            assert row.ids[:begins].tolist() == answers[at].context.tolist()
            at += 1
    # Truncated answers were ended for the model; what ended them was not sampled.
    assert all(len(t.ids) <= 6 for t in answers)
    assert any(len(p.answers) == 3 for p in found)


def test_a_cut_answer_carries_no_loss_on_the_end_that_it_was_given(tmp_path):
    loaded = small_games.saved(tmp_path)
    task = next(game("bandit").tasks("id", attempts=3))
    (one,) = play_many([task], Checkpoint(loaded, name="m", temperature=1.0, max_new_tokens=1), key=(3,))
    assert len(one.answers) == 3, "take a key with which the answers are wrong"
    (row,) = gather([one]).rows
    # <user> pick <bot> SAMPLED <end> <user> again <bot> SAMPLED <end> <user> again <bot> SAMPLED
    assert row.sampled.nonzero()[0].tolist() == [3, 8, 13]
    text = loaded.tokenizer.convert_ids_to_tokens(row.ids.tolist())
    assert [text[n] for n in (0, 1, 2, 4, 5, 6, 7)] == ["<user>", "pick", "<bot>", "<end>", "<user>", "again", "<bot>"]
    assert torch.from_numpy(row.ids)[3] == one.answers[0].tokens.ids[0]
