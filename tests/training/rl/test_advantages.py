"""Credit: numbers worked out by hand, an independent slow computation, and what must hold for any episodes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import UsageError
from labkit.training.rl.advantages import bilevel_gae, group_relative, leave_one_out, normalise, returns, turn_gae

NAN = float("nan")


def pad(rows, width=None, filler=NAN):
    """Rows of uneven length as one tensor with ``filler`` behind them, and the mask."""
    width = width or max(map(len, rows))
    filled = [list(row) + [filler] * (width - len(row)) for row in rows]
    mask = [[k < len(row) for k in range(width)] for row in rows]
    return torch.tensor(filled, dtype=torch.double), torch.tensor(mask)


def pad_turns(episodes, turns=None, tokens=None, filler=NAN):
    """Values of tokens of turns of episodes as one tensor ``[E, K, T]``, and the mask."""
    turns = turns or max(map(len, episodes))
    tokens = tokens or max(len(turn) for turn in sum(episodes, []))
    padded = [pad(list(turns_) + [[]] * (turns - len(turns_)), tokens, filler) for turns_ in episodes]
    return torch.stack([value for value, _ in padded]), torch.stack([mask for _, mask in padded])


def rows_of(tensor, rows):
    return [tensor[i, : len(row)].tolist() for i, row in enumerate(rows)]


def close(found, expected):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=1e-9, rtol=1e-9)


number = st.floats(-10, 10, width=32)
factor = st.floats(0, 1)
turn_lists = st.lists(st.lists(st.tuples(number, number), min_size=1, max_size=6), min_size=1, max_size=4)
"""Episodes: (reward, value) of every turn."""
token_lists = st.lists(
    st.lists(st.tuples(number, st.lists(number, min_size=1, max_size=4)), min_size=1, max_size=4),
    min_size=1,
    max_size=3,
)
"""Episodes: (reward, values of the tokens) of every turn."""


def split(episodes):
    return [[r for r, _ in episode] for episode in episodes], [[v for _, v in episode] for episode in episodes]


def test_returns_by_hand():
    # gamma 0.5: 4; 2 + 0.5 * 4 = 4; 1 + 0.5 * 4 = 3. And 3; -1 + 0.5 * 3 = 0.5.
    close(returns(*pad([[1, 2, 4], [-1, 3]]), 0.5), [[3, 4, 4], [0.5, 3, 0]])
    # gamma 0.9, two wrong attempts and a right one: 5; -1 + 4.5 = 3.5; -1 + 3.15 = 2.15.
    close(returns(*pad([[-1, -1, 5]]), 0.9), [[2.15, 3.5, 5]])


def test_turn_gae_by_hand():
    # gamma 0.5, lam 0.8, so credit fades by 0.4 a turn. First episode, rewards 1 2 4, values 2 4 8:
    #   delta: 4 + 0 - 8 = -4;  2 + 0.5 * 8 - 4 = 2;  1 + 0.5 * 4 - 2 = 1
    #   A:     -4;              2 + 0.4 * -4 = 0.4;   1 + 0.4 * 0.4 = 1.16
    # Second, rewards -1 3, values 1 -2: delta 3 + 2 = 5 and -1 - 1 - 1 = -3; A 5 and -3 + 0.4 * 5 = -1.
    reward, mask = pad([[1, 2, 4], [-1, 3]])
    value, _ = pad([[2, 4, 8], [1, -2]])
    advantage, target = turn_gae(reward, value, mask, 0.5, 0.8)
    close(advantage, [[1.16, 0.4, -4], [-1, 5, 0]])
    close(target, [[3.16, 4.4, 4], [0, 3, 0]])


def test_turn_gae_by_hand_with_the_numbers_of_the_paper():
    # gamma 0.9, lam 0.95: delta 5 - 2 = 3 and -1 + 0.9 * 2 - 0 = 0.8; A 3 and 0.8 + 0.855 * 3 = 3.365.
    reward, mask = pad([[-1, 5]])
    close(turn_gae(reward, pad([[0, 2]])[0], mask, 0.9, 0.95)[0], [[3.365, 3]])


def test_nothing_is_expected_after_an_episode_that_ran_out_of_attempts():
    # Three wrong attempts and no more, at gamma = lam = 1 and with no value: -3, -2, -1, whatever is in the next row.
    reward, mask = pad([[-1, -1, -1], [100, 100, 100]])
    advantage, _ = turn_gae(reward, torch.zeros_like(reward), mask, 1, 1)
    close(advantage[0], [-3, -2, -1])


def n_step_advantage(reward, value, gamma, lam):
    """Equations 11 to 16 of the GAE paper from the other end: the mixture of all n-step advantages."""
    found = []
    for k in range(len(reward)):
        left = len(reward) - k
        steps = []
        for n in range(1, left + 1):
            gained = sum(gamma**i * reward[k + i] for i in range(n))
            after = gamma**n * value[k + n] if n < left else 0.0
            steps.append(gained + after - value[k])
        mixed = sum((1 - lam) * lam ** (n - 1) * steps[n - 1] for n in range(1, left))
        found.append(mixed + lam ** (left - 1) * steps[-1])
    return found


@given(turn_lists, factor, factor)
def test_turn_gae_is_the_mixture_of_n_step_advantages(episodes, gamma, lam):
    rewards, values = split(episodes)
    reward, mask = pad(rewards)
    advantage, _ = turn_gae(reward, pad(values)[0], mask, gamma, lam)
    for found, r, v in zip(rows_of(advantage, rewards), rewards, values, strict=True):
        assert found == pytest.approx(n_step_advantage(r, v, gamma, lam), abs=1e-8)


@given(turn_lists, factor)
def test_lam_1_is_return_minus_value_and_lam_0_the_one_step_error(episodes, gamma):
    rewards, values = split(episodes)
    reward, mask = pad(rewards)
    value, _ = pad(values)
    long, target = turn_gae(reward, value, mask, gamma, 1)
    close(target, returns(reward, mask, gamma))
    close(long, (returns(reward, mask, gamma) - value).nan_to_num(0))
    short, _ = turn_gae(reward, value, mask, gamma, 0)
    for found, r, v in zip(rows_of(short, rewards), rewards, values, strict=True):
        assert found == pytest.approx([a + gamma * c - b for a, b, c in zip(r, v, [*v[1:], 0], strict=True)])


@given(turn_lists, factor, factor, st.sampled_from([NAN, math.inf, 7.0]))
def test_padding_of_turns_is_never_read_and_comes_out_as_zero(episodes, gamma, lam, filler):
    rewards, values = split(episodes)
    reward, mask = pad(rewards, 9, filler)
    results = *turn_gae(reward, pad(values, 9, filler)[0], mask, gamma, lam), returns(reward, mask, gamma)
    for i, (r, v) in enumerate(zip(rewards, values, strict=True)):
        alone, mask_1 = pad([r])
        expected = *turn_gae(alone, pad([v])[0], mask_1, gamma, lam), returns(alone, mask_1, gamma)
        for whole, part in zip(results, expected, strict=True):
            assert whole[i, : len(r)].equal(part[0])
            assert not whole[i, len(r) :].any()


@given(turn_lists, factor, factor, st.randoms(use_true_random=False))
def test_permuting_episodes_permutes_their_credit(episodes, gamma, lam, random):
    order = list(range(len(episodes)))
    random.shuffle(order)
    rewards, values = split(episodes)
    reward, mask = pad(rewards)
    value, _ = pad(values)
    for before, after in zip(
        turn_gae(reward, value, mask, gamma, lam),
        turn_gae(reward[order], value[order], mask[order], gamma, lam),
        strict=True,
    ):
        assert before[order].equal(after)


@pytest.mark.parametrize("mask", [[[True, False, True]], [[False, True, True]]])
def test_a_mask_with_a_gap_is_refused(mask):
    mask, zeros = torch.tensor(mask), torch.zeros(1, 3)
    with pytest.raises(ValueError, match="not True first and False after"):
        returns(zeros, mask, 1)
    with pytest.raises(ValueError, match="not True first and False after"):
        turn_gae(zeros, zeros, mask, 1, 1)
    with pytest.raises(ValueError, match="not True first and False after"):
        bilevel_gae(torch.zeros(1, 1), zeros[None], mask[None], 1, 1, 1, 1)
    with pytest.raises(ValueError, match="not True first and False after"):  # the second of three turns has no tokens
        bilevel_gae(zeros, zeros[..., None], mask[..., None], 1, 1, 1, 1)


def test_bilevel_gae_by_hand():
    # Turns: gamma 0.5, lam 0.8 (fades by 0.4). Tokens: gamma 0.25, lam 0.4 (fades by 0.1).
    # First episode, rewards 1 4; values of tokens 1 3 2 | 6 8, so the turns are valued at 2 and 8.
    #   turns:  delta 4 - 8 = -4 and 1 + 0.5 * 8 - 2 = 3;  A -4 and 3 + 0.4 * -4 = 1.4
    #   tokens of the first:  1.4;  (0.25 * 2 - 3) + 0.1 * 1.4 = -2.36;  (0.25 * 3 - 1) + 0.1 * -2.36 = -0.486
    #   of the second:        -4;   (0.25 * 8 - 6) + 0.1 * -4 = -4.4
    # Second episode, one token: 5 - 3 = 2.
    reward, _ = pad([[1, 4], [5]])
    value, mask = pad_turns([[[1, 3, 2], [6, 8]], [[3]]])
    advantage, target = bilevel_gae(reward, value, mask, 0.5, 0.8, 0.25, 0.4)
    close(advantage, [[[-0.486, -2.36, 1.4], [-4.4, -4, 0]], [[2, 0, 0], [0, 0, 0]]])
    close(target, [[[0.514, 0.64, 3.4], [1.6, 4, 0]], [[5, 0, 0], [0, 0, 0]]])


def vagen(rewards, values, gamma, lam, token_gamma, token_lam):
    """One episode, written as the released code goes about it: one line of tokens, and positions where turns end."""
    line = [v for turn in values for v in turn]
    ends, at = [], -1
    for turn in values:
        at += len(turn)
        ends.append(at)
    reward = dict(zip(ends, rewards, strict=True))
    gae, following = 0.0, 0.0
    turn_return = {}
    for end in reversed(ends):
        gae = reward[end] + gamma * following - line[end] + gamma * lam * gae
        following = line[end]
        turn_return[end] = gae + line[end]
    found = [0.0] * len(line)
    for i in reversed(range(len(line))):
        if i in turn_return:
            found[i] = turn_return[i] - line[i]
        else:
            found[i] = token_gamma * line[i + 1] - line[i] + token_gamma * token_lam * found[i + 1]
    return found


@given(token_lists, st.tuples(factor, factor, factor, factor), st.sampled_from([NAN, math.inf, 7.0]))
def test_bilevel_gae_is_that_of_the_released_code_whatever_the_padding(episodes, factors, filler):
    rewards, values = split(episodes)
    reward, _ = pad(rewards, 5, filler)
    value, mask = pad_turns(values, 5, 6, filler)
    advantage, target = bilevel_gae(reward, value, mask, *factors)
    for i, (r, v) in enumerate(zip(rewards, values, strict=True)):
        assert advantage[i][mask[i]].tolist() == pytest.approx(vagen(r, v, *factors), abs=1e-8)
    close(target[mask], advantage[mask] + value[mask])
    assert not advantage[~mask].any()
    assert not target[~mask].any()


@given(token_lists)
def test_bilevel_gae_without_discounts_is_what_follows_minus_the_value_of_a_token(episodes):
    rewards, values = split(episodes)
    reward, turn_mask = pad(rewards)
    value, mask = pad_turns(values)
    _, target = bilevel_gae(reward, value, mask, 1, 1, 1, 1)
    close(target[mask], returns(reward, turn_mask, 1)[..., None].expand_as(value)[mask])


@given(turn_lists, factor, factor, factor, factor)
def test_bilevel_gae_of_turns_of_one_token_is_that_of_turns(episodes, gamma, lam, token_gamma, token_lam):
    rewards, values = split(episodes)
    reward, mask = pad(rewards)
    value, _ = pad(values)
    fine, _ = bilevel_gae(reward, value[..., None], mask[..., None], gamma, lam, token_gamma, token_lam)
    assert fine[..., 0].equal(turn_gae(reward, value, mask, gamma, lam)[0])


# Two groups, interleaved: 1 and 3; 0, 0 and 3.
RETURN = torch.tensor([1.0, 0.0, 3.0, 0.0, 3.0], dtype=torch.double)
GROUP = torch.tensor([7, 2, 7, 2, 2])


def test_group_relative_by_hand():
    # Means 2 and 1. Variances, divided by n - 1: (1 + 1) / 1 = 2 and (1 + 1 + 4) / 2 = 3.
    close(group_relative(RETURN, GROUP, scale=False), [-1, -1, 1, -1, 2])
    a, b = math.sqrt(2) + 1e-4, math.sqrt(3) + 1e-4
    close(group_relative(RETURN, GROUP, scale=True), [-1 / a, -1 / b, 1 / a, -1 / b, 2 / b])


def test_leave_one_out_by_hand():
    # 1 - 3, 3 - 1; 0 - (0 + 3) / 2 twice, 3 - 0.
    close(leave_one_out(RETURN, GROUP), [-2, -1.5, 2, -1.5, 3])


groups = st.lists(st.lists(number, min_size=2, max_size=6), min_size=1, max_size=4)


def dealt(lists, random):
    """Returns and group numbers in mixed order."""
    pairs = [(r, 10 - g) for g, row in enumerate(lists) for r in row]
    random.shuffle(pairs)
    return torch.tensor([r for r, _ in pairs], dtype=torch.double), torch.tensor([g for _, g in pairs])


@given(groups, st.booleans(), st.randoms(use_true_random=False))
def test_group_relative_sums_to_zero_in_every_group_and_ignores_its_level(lists, scale, random):
    value, group = dealt(lists, random)
    found = group_relative(value, group, scale=scale)
    for g in group.unique():
        assert found[group == g].sum().item() == pytest.approx(0, abs=1e-6)
    shifted = group_relative(value + 3.0 * group, group, scale=scale)
    torch.testing.assert_close(shifted, found, atol=1e-6, rtol=1e-6)


@given(groups, st.randoms(use_true_random=False))
def test_leave_one_out_is_the_mean_of_the_others_taken_off(lists, random):
    value, group = dealt(lists, random)
    found = leave_one_out(value, group).tolist()
    pairs = list(zip(value.tolist(), group.tolist(), strict=True))
    for i, (r, g) in enumerate(pairs):
        others = [r_ for j, (r_, g_) in enumerate(pairs) if g_ == g and j != i]
        assert found[i] == pytest.approx(r - sum(others) / len(others), abs=1e-9)


@given(number, number)
def test_leave_one_out_of_two_is_antisymmetric(a, b):
    found = leave_one_out(torch.tensor([a, b], dtype=torch.double), torch.tensor([0, 0]))
    assert found.tolist() == [a - b, b - a]


@pytest.mark.parametrize("count", [2, 5, 6, 8])
def test_a_group_that_agrees_teaches_nothing(count):
    # -4.0951 (five wrong attempts at gamma 0.9) is not exact in fp32, nor is the mean of five such or of eight.
    value, group = torch.full((count,), -4.0951), torch.zeros(count, dtype=torch.long)
    assert group_relative(value, group, scale=True).abs().max() < 1e-6
    assert leave_one_out(value, group).abs().max() < 1e-6


@pytest.mark.parametrize("credit", [leave_one_out, lambda r, g: group_relative(r, g, scale=False)])
def test_an_episode_alone_in_its_group_is_an_error(credit):
    with pytest.raises(UsageError, match="alone on its deal: 2 of 4 episodes; set group to 2 or more"):
        credit(torch.zeros(4), torch.tensor([0, 1, 1, 2]))


def test_normalise_by_hand():
    # 1, 3 and 5 are in the mask: mean 3, variance (4 + 0 + 4) / 3.
    scale = math.sqrt(8 / 3) + 1e-5
    advantage = torch.tensor([[1, NAN, 3], [5, 1e9, NAN]], dtype=torch.double)
    mask = torch.tensor([[True, False, True], [True, False, False]])
    close(normalise(advantage, mask), [[-2 / scale, 0, 0], [2 / scale, 0, 0]])


@given(st.lists(number, min_size=2, max_size=20, unique=True), st.floats(-100, 100), st.floats(1, 100))
def test_normalise_gives_mean_0_and_spread_1_and_undoes_shift_and_scale(numbers, shift, scale):
    value = torch.tensor(numbers, dtype=torch.double) * 1e3
    mask = torch.ones_like(value, dtype=torch.bool)
    found = normalise(value, mask)
    assert found.mean().item() == pytest.approx(0, abs=1e-9)
    spread = value.std(correction=0).item()
    assert found.std(correction=0).item() == pytest.approx(spread / (spread + 1e-5))
    if spread > 1:
        torch.testing.assert_close(normalise(value * scale + shift, mask), found, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("entries", [[3.7], [0.1] * 7, [100.1] * 999])
def test_normalise_without_spread_gives_zeros(entries):
    value = torch.tensor([*entries, NAN])
    mask = torch.tensor([True] * len(entries) + [False])
    found = normalise(value, mask)
    assert found.abs().max() < 1e-6  # a NaN would not be


@settings(max_examples=20)
@given(turn_lists)
def test_credit_is_given_in_the_precision_it_was_asked_in(episodes):
    rewards, values = split(episodes)
    reward, mask = pad(rewards)
    advantage, target = turn_gae(reward.float(), pad(values)[0].float(), mask, 0.9, 0.95)
    assert {advantage.dtype, target.dtype, normalise(advantage, mask).dtype} == {torch.float32}
