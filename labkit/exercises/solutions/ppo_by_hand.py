"""Solutions of notebooks/05_ppo_by_hand that later cells use.

Shape suffixes: K turns of an episode, N sampled tokens.
"""

import numpy as np
import torch


def policy_gradient(logits, action, advantage):
    """The gradient of advantage * log softmax(logits)[action] in the logits, an array as long as they are."""
    chances = np.exp(logits) / np.exp(logits).sum()
    chosen = np.eye(len(logits))[action]
    return advantage * (chosen - chances)


def clipped_objective(ratio_N, advantage_N, clip):
    """PPO's objective for each token, before the mean; tensors."""
    bound_N = ratio_N.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio_N * advantage_N, bound_N * advantage_N)


def returns(reward_K, gamma):
    """The discounted return of each turn, an array [K]."""
    return_K, later = np.zeros(len(reward_K)), 0.0
    for k in reversed(range(len(reward_K))):
        later = return_K[k] = reward_K[k] + gamma * later
    return return_K


def critic_loss(value_K, return_K):
    """Half the mean squared error of the values, one number."""
    return 0.5 * (value_K - return_K).square().mean()


def gae(reward_K, value_K, gamma, lam):
    """Advantages over the turns of an episode that ends, an array [K]."""
    advantage_K, later, next_value = np.zeros(len(reward_K)), 0.0, 0.0
    for k in reversed(range(len(reward_K))):
        delta = reward_K[k] + gamma * next_value - value_K[k]
        later = advantage_K[k] = delta + gamma * lam * later
        next_value = value_K[k]
    return advantage_K


def update(score, optimizer, old_logp_N, advantage_N, return_K, clip, value_weight):
    """One step of PPO; returns the loss. score() gives (logp_N, value_K) of the policy as it is now."""
    logp_N, value_K = score()
    ratio_N = (logp_N - old_logp_N).exp()
    loss = -clipped_objective(ratio_N, advantage_N, clip).mean() + value_weight * critic_loss(value_K, return_K)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def leave_one_out(grpo_E):
    """Each return minus the mean of the others, from each return minus the mean of all."""
    n = len(grpo_E)
    return np.asarray(grpo_E) * n / (n - 1)
