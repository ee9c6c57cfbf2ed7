"""Losses: numbers worked out by hand, gradients against finite differences, expectations by enumeration."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit.models.forward import kl_full
from labkit.training.rl.objectives import (
    clipped,
    explained_variance,
    kl_k3,
    mean_weights,
    value_loss,
)


def weighted_mean(loss, weight, total):
    """As the trainer takes it: each part adds up what it holds, and all divide by one total."""
    return (loss * weight).sum() / total


def double(x, **kwargs):
    return torch.tensor(x, dtype=torch.double, **kwargs)


def close(found, expected):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=1e-9, rtol=1e-9)


# Clip 0.2, advantage 2 or -2. The gradient by logp of -ratio A is itself; where clipped, zero.
SURROGATE = {
    "good, and already likelier": (1.5, 2, -2.4, 0, True),  # -min(3, 2.4)
    "bad, yet likelier": (1.5, -2, 3.0, 3.0, False),  # -min(-3, -2.4)
    "good, yet less likely": (0.5, 2, -1.0, -1.0, False),  # -min(1, 1.6)
    "bad, and already less likely": (0.5, -2, 1.6, 0, True),  # -min(-1, -1.6)
    "within the clip, good": (1.1, 2, -2.2, -2.2, False),
    "within the clip, bad": (0.9, -2, 1.8, 1.8, False),
    "neither good nor bad": (1.5, 0, 0.0, 0, False),
}


@pytest.mark.parametrize(("ratio", "advantage", "loss", "gradient", "cut"), SURROGATE.values(), ids=SURROGATE.keys())
def test_the_clip_takes_the_gradient_exactly_where_nothing_more_is_to_be_gained(ratio, advantage, loss, gradient, cut):
    logp = double([math.log(ratio) - 3], requires_grad=True)
    loss_N, clipped_N, ratio_N = clipped(logp, double([-3]), double([advantage]), 0.2)
    loss_N.sum().backward()
    close(ratio_N.detach(), [ratio])
    close(loss_N.detach(), [loss])
    close(logp.grad, [gradient])
    assert clipped_N.tolist() == [cut]


def test_an_infinite_clip_never_clips():
    loss, cut, ratio = clipped(double([0, -9]), double([-9, 0]), double([1, -1]), math.inf)
    close(loss, [-math.exp(9), math.exp(-9)])
    assert not cut.any()


def test_value_loss_by_hand():
    # Clip 1, old value 0, return 3. From 0 to 0.5: half of 2.5^2. To 2: V_clip = 1 is further off, half of 2^2, and
    # no gradient. To -2: itself, half of 5^2, further off than V_clip = -1. To 6: V_clip = 1, half of max(9, 4).
    value = double([0.5, 2, -2, 6], requires_grad=True)
    old, target = torch.zeros(4, dtype=torch.double), torch.full((4,), 3.0, dtype=torch.double)
    loss = value_loss(value, old, target, 1)
    loss.sum().backward()
    close(loss.detach(), [3.125, 2, 12.5, 4.5])
    close(value.grad, [-2.5, 0, -5, 3])
    close(value_loss(value, old, target, None).detach(), [3.125, 0.5, 12.5, 4.5])
    close(value_loss(value + 7, old + 7, target + 7, 1).detach(), loss.detach())


HALVES, QUARTERS = double([0.5, 0.5]).log(), double([0.25, 0.75]).log()


def test_kl_by_hand_and_in_its_direction():
    # KL(halves || quarters) = 0.5 log 2 + 0.5 log 2/3; the other way round 0.25 log 1/2 + 0.75 log 3/2.
    close(kl_full(HALVES, QUARTERS), 0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    close(kl_full(QUARTERS + 5, HALVES - 3), 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2))
    # One sample each: policy 0.5, ref 0.25: r = 1/2. Policy 0.5, ref 0.75: r = 3/2.
    close(kl_k3(HALVES, QUARTERS), [-0.5 + math.log(2), 0.5 - math.log(1.5)])


def test_k3_stays_finite_where_a_policy_has_left_what_it_sampled():
    # At log r = 20: e^20 - 21. Beyond it r goes on along its tangent: at 120, e^20 + 100 e^20 - 121.
    policy = double([-20.0, -120.0, -1000.0]).requires_grad_()
    k3 = kl_k3(policy, double([0.0, 0.0, 0.0]))
    close(k3[:2].detach(), [math.exp(20) - 21, 101 * math.exp(20) - 121])
    # d k3 / d logp = 1 - r, which the tangent keeps at 1 - e^20, in single precision too.
    close(gradient_by(policy, k3.sum()), [1 - math.exp(20)] * 3)
    assert kl_k3(policy.detach().float(), torch.zeros(3)).isfinite().all()


logits = st.lists(st.floats(-8, 8), min_size=5, max_size=5).map(double)


@given(logits, logits)
def test_k3_is_never_negative_and_expects_the_kl(policy, ref):
    logp, ref_logp = policy.log_softmax(-1), ref.log_softmax(-1)
    k3 = kl_k3(logp, ref_logp)
    assert (k3 >= 0).all()
    exact = kl_full(policy, ref)
    torch.testing.assert_close((logp.exp() * k3).sum(), exact, atol=1e-8, rtol=1e-8)
    assert exact >= -1e-9


def gradient_by(parameter, loss):
    (gradient,) = torch.autograd.grad(loss, parameter)
    return gradient


@given(logits, logits)
def test_as_a_loss_k3_pulls_like_the_kl_the_other_way_round(policy, ref):
    policy.requires_grad_()
    ref_logp = ref.log_softmax(-1)
    logp, sampled = policy.log_softmax(-1), policy.softmax(-1).detach()
    k3 = gradient_by(policy, (sampled * kl_k3(logp, ref_logp)).sum())
    torch.testing.assert_close(k3, gradient_by(policy, kl_full(ref, policy)), atol=1e-8, rtol=1e-8)


def test_distributions_are_compared_in_fp32_though_logits_are_bf16():
    torch.manual_seed(0)
    policy = torch.randn(4, 1000).bfloat16()
    ref = (policy.float() + 0.1 * torch.randn(4, 1000)).bfloat16()
    found, exact = kl_full(policy, ref), kl_full(policy.double(), ref.double())
    assert found.dtype == torch.float32
    assert exact.dtype == torch.float64
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "found"),
    [([1, 2], 0.75), ([1, 3], 1), ([2, 2], 0), ([9, 9], 0), ([-1, -3], -3), ([2, 4], 1)],
    ids=["a quarter is left", "foretold", "the mean", "any constant", "upside down", "but for a constant"],
)
def test_explained_variance_by_hand(value, found):
    # Returns 1 and 3 have variance 1. What is left of them: 0 1; 0 0; -1 1; -8 -6; 2 6; -1 -1.
    close(explained_variance(double(value), double([1, 3])), found)


def test_explained_variance_of_returns_that_do_not_vary_is_zero():
    assert explained_variance(torch.tensor([1.0, 2.0, 3.0]), torch.full((3,), 0.1)).item() == 0


# An episode of turns of 3 tokens and of 1, and one of a turn of 2 tokens.
MASK = torch.tensor([[[1, 1, 1], [1, 0, 0]], [[1, 1, 0], [0, 0, 0]]]).bool()
LOSS = double([[[1, 2, 3], [4, 9, 9]], [[5, 7, 9], [9, 9, 9]]])
MEAN = {
    "token": ([[[1, 1, 1], [1, 0, 0]], [[1, 1, 0], [0, 0, 0]]], 6, 22 / 6),
    "turn": ([[[1 / 3, 1 / 3, 1 / 3], [1, 0, 0]], [[0.5, 0.5, 0], [0, 0, 0]]], 3, (2 + 4 + 6) / 3),
    "episode": ([[[0.25, 0.25, 0.25], [0.25, 0, 0]], [[0.5, 0.5, 0], [0, 0, 0]]], 2, (10 / 4 + 6) / 2),
}


@pytest.mark.parametrize("over", MEAN)
def test_means_by_hand(over):
    weights, units, mean = MEAN[over]
    weight = mean_weights(MASK, over)
    torch.testing.assert_close(weight, torch.tensor(weights, dtype=torch.float32))
    assert weight.sum().item() == pytest.approx(units)
    assert weighted_mean(LOSS, weight, units).item() == pytest.approx(mean)


@pytest.mark.parametrize("over", MEAN)
def test_shares_of_any_cut_add_up_to_the_mean(over):
    weight = mean_weights(MASK, over)
    total = weight.sum()
    whole = weighted_mean(LOSS, weight, total)
    flat, flat_weight = LOSS[MASK], weight[MASK]
    for cut in range(1, len(flat)):
        parts = [weighted_mean(flat[at], flat_weight[at], total) for at in (slice(cut), slice(cut, None))]
        assert sum(parts).item() == pytest.approx(whole.item())
    # Processes that hold an episode each, and know only the total of all of them.
    mine = [mean_weights(MASK[i : i + 1], over) for i in range(2)]
    everyone = sum(w.sum() for w in mine)
    shares = [weighted_mean(LOSS[i : i + 1], mine[i], everyone) for i in range(2)]
    assert sum(shares).item() == pytest.approx(whole.item())


def test_units_may_be_turns():
    turns = torch.tensor([[True, True], [True, False]])
    close(mean_weights(turns[..., None], "turn")[..., 0], [[1, 1], [1, 0]])
    close(mean_weights(turns[..., None], "episode")[..., 0], [[0.5, 0.5], [1, 0]])


# A small policy in double precision: 3 numbers in, two layers, 5 actions and a value.

OLD = 0.1
"""How far the old policy's log-probabilities, and values, are from the new one's, at most; half of it is clipped."""


def network():
    generator = torch.Generator().manual_seed(3)
    shapes = [(3, 6), (6,), (6, 5), (5,), (6,)]
    return [torch.randn(s, generator=generator, dtype=torch.double).requires_grad_() for s in shapes]


def forward(w1, b1, w2, b2, w_value):
    seen_NI = torch.randn(12, 3, generator=torch.Generator().manual_seed(5), dtype=torch.double)
    hidden_NH = (seen_NI @ w1 + b1).tanh()
    return hidden_NH @ w2 + b2, hidden_NH @ w_value


with torch.no_grad():
    LOGITS, VALUE = forward(*network())
    NOISE = torch.Generator().manual_seed(8)
    ACTION = torch.randint(5, (12, 1), generator=NOISE)
    ADVANTAGE = torch.randn(12, generator=NOISE, dtype=torch.double)
    DRIFT = OLD * torch.tensor([-1, 1, -0.4, 0.4] * 3, dtype=torch.double)
    OLD_LOGP = LOGITS.log_softmax(-1).gather(1, ACTION)[:, 0] - DRIFT
    OLD_VALUE = VALUE - DRIFT
    TARGET = VALUE + torch.randn(12, generator=NOISE, dtype=torch.double)
    REF_LOGITS = LOGITS + 0.5 * torch.randn(12, 5, generator=NOISE, dtype=torch.double)
    REF_LOGP = REF_LOGITS.log_softmax(-1).gather(1, ACTION)[:, 0]
TURNS = torch.ones(4, 3, dtype=torch.bool)
DECISIVE = torch.tensor([[False, True, False]] * 4)


def taken(logits):
    return logits.log_softmax(-1).gather(1, ACTION)[:, 0]


def of_turn(logp):
    weight = torch.where(DECISIVE, 1.0, 0.5) * TURNS
    return (weight * logp.view(4, 3)).sum(1)


OBJECTIVES = {
    "clipped": lambda logits, value: clipped(taken(logits), OLD_LOGP, ADVANTAGE, 0.05)[0],
    "clipped, of turns": lambda logits, value: clipped(of_turn(taken(logits)), of_turn(OLD_LOGP), ADVANTAGE[:4], 0.05)[
        0
    ],
    "value": lambda logits, value: value_loss(value, OLD_VALUE, TARGET, None),
    "value, clipped": lambda logits, value: value_loss(value, OLD_VALUE, TARGET, 0.05),
    "k3": lambda logits, value: kl_k3(taken(logits), REF_LOGP),
    "full KL": lambda logits, value: kl_full(logits, REF_LOGITS),
    "a mean": lambda logits, value: weighted_mean(
        kl_k3(taken(logits), REF_LOGP), mean_weights(TURNS[None], "turn").flatten(), 4.0
    ),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_gradients_are_those_of_finite_differences(objective):
    parameters = network()
    loss = objective(*forward(*parameters))
    assert torch.autograd.grad(loss.sum(), parameters, allow_unused=True)[0].abs().max() > 1e-3
    assert torch.autograd.gradcheck(lambda *p: objective(*forward(*p)), parameters)


def test_the_gradients_above_meet_units_on_both_sides_of_the_clip():
    _, cut, ratio = clipped(taken(LOGITS), OLD_LOGP, ADVANTAGE, 0.05)
    close(ratio.log(), DRIFT)
    assert 0 < cut.sum() < 6  # six ratios are outside, some of them where the clip does not bind
    bound = value_loss(VALUE, OLD_VALUE, TARGET, 0.05) > value_loss(VALUE, OLD_VALUE, TARGET, None)
    assert 0 < bound.sum() < 6


def test_before_the_first_step_the_surrogate_has_the_plain_policy_gradient():
    parameters = network()
    logp = taken(forward(*parameters)[0])
    surrogate, cut, ratio = clipped(logp, logp.detach(), ADVANTAGE, 0.1)
    plain = torch.autograd.grad((-ADVANTAGE * logp).mean(), parameters[:4], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(surrogate.mean(), parameters[:4]), plain, atol=1e-12, rtol=1e-12)
    assert not cut.any()
    close(ratio.detach(), torch.ones(12))


@given(logits, st.lists(st.floats(-5, 5), min_size=5, max_size=5), st.floats(-5, 5))
def test_descending_the_surrogate_ascends_the_expected_reward(policy, rewards, baseline):
    # All five actions, each as often as it is sampled; a baseline changes nothing.
    policy.requires_grad_()
    probability, logp, reward = policy.softmax(-1), policy.log_softmax(-1), double(rewards)
    surrogate, _, _ = clipped(logp, logp.detach(), reward - baseline, 0.2)
    found = gradient_by(policy, (probability.detach() * surrogate).sum())
    exact = gradient_by(policy, (policy.softmax(-1) * reward).sum())
    torch.testing.assert_close(found, -exact, atol=1e-9, rtol=1e-9)
