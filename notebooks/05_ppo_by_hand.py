# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # PPO by hand
#
# **By the end you will have built** PPO: a policy gradient on a bandit, a baseline, a clipped ratio and credit over the
# turns of a dialogue. One update with your functions gives a language model the same weights as the lab's own code, to
# six decimals.
#
# *For* anyone who knows what a gradient step is. The game is in [notebook 01](01_general_points.ipynb), attempts and
# feedback in [03](03_sequential_revision.ipynb). *Time*: 90 minutes; all cells together run in about a minute on two
# CPU cores, offline. *You will be able to*
#
# * derive the policy gradient, and say what a baseline and a clip are for;
# * compute returns and **GAE** over turns, and explain what γ and λ trade;
# * say why a wrong answer can have a positive advantage;
# * tell six kinds of credit apart by the advantages that they give the same tokens.
#
# The method is *Proximal policy optimization* ([arXiv 1707.06347](https://arxiv.org/abs/1707.06347)) on dialogues of
# several turns, as in *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)).
#
# **Your functions are used.** A function that passes its check is called by the cells after it. Until then the given
# solution takes its place, and a line says so. You can run all cells at any time.

# %% tags=["setup"]
import numpy as np
import torch

from labkit.exercises import use

# %% [markdown]
# ## Step 1 of 4: a policy gradient, from one bandit
#
# A *bandit* is the smallest decision: choose one of several arms, and get the **reward** that it pays. Our bandit has
# three arms, which pay 3, 4 and 5. The **policy** π gives each arm a probability. It is the softmax of three numbers,
# the *logits* θ: $π_a = e^{θ_a} / \sum_b e^{θ_b}$. We want to raise the expected reward
#
# $$J(θ) = \sum_a π_a\, r_a.$$
#
# Its gradient follows from one identity, $∇π_a = π_a ∇\log π_a$:
#
# $$∇J = \sum_a π_a\, r_a ∇\log π_a = \mathbb{E}_{a \sim π}[\, r_a ∇\log π_a\,].$$
#
# The right side is an average over the policy's own choices. So you can *sample* an arm, see what it pays, and take a
# step along $r_a ∇\log π_a$: raise the log-probability of the choice in proportion to what it earned. No knowledge of
# the other arms is needed. For a softmax, $∇\log π_a$ is 1 at the chosen arm and 0 elsewhere, minus π.
#
# **Exercise 1.** Write this gradient. The reward is called `advantage`; the next step says why.

# %% tags=["exercise"]
def policy_gradient(logits, action, advantage):
    """The gradient of advantage * log softmax(logits)[action] in the logits, an array as long as they are."""
    raise NotImplementedError("your turn")


# %%
policy_gradient = use("ppo_by_hand.policy_gradient", policy_gradient)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `np.eye(3)[action]` is 1 at the action and 0 elsewhere.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def policy_gradient(logits, action, advantage):
#     """The gradient of advantage * log softmax(logits)[action] in the logits, an array as long as they are."""
#     chances = np.exp(logits) / np.exp(logits).sum()
#     chosen = np.eye(len(logits))[action]
#     return advantage * (chosen - chances)
# ```
#
# An arm that is already certain hardly moves: one-hot minus softmax is then nearly 0. What is never chosen is never
# learnt about.
#
# </details>

# %%
PAYS = np.array([3.0, 4.0, 5.0])


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


logits = np.array([0.5, 0.0, -0.5])
sampled = [policy_gradient(logits, arm, PAYS[arm]) for arm in range(3)]
average = softmax(logits) @ sampled  # each arm's gradient, as often as the arm is chosen
nudged = [(softmax(logits + 1e-5 * one) - softmax(logits - 1e-5 * one)) @ PAYS / 2e-5 for one in np.eye(3)]
print("average of the sampled gradients", average.round(4))
print("slope of the expected reward    ", np.round(nudged, 4))

# %% [markdown]
# The two lines agree: the sampled gradient is right *on average*.
#
# ## Step 2 of 4: a baseline
#
# Every arm pays something, so each sample raises the arm that was chosen, even the worst. Only the average over many
# samples is right. Subtract a **baseline** b from the reward: the expected reward, say. Then an arm that pays less than
# usual is made less likely. The average gradient stays the same, since $\mathbb{E}[b\,∇\log π_a] = b\,∇\sum_a π_a =
# 0$. Reward minus baseline is called the **advantage**: how much better than expected.

# %%
spread = {}
for name, baseline in (("no baseline", 0.0), ("baseline", softmax(logits) @ PAYS)):
    each = np.array([policy_gradient(logits, arm, PAYS[arm] - baseline) for arm in range(3)])
    spread[name] = softmax(logits) @ ((each - average) ** 2).sum(1)
    print(f"{name:12} average {(softmax(logits) @ each).round(4)}   variance of one sample {spread[name]:.2f}")


# %%
def learn(with_baseline, seed, steps=150, lr=0.1):
    """The probability of the best arm, step by step."""
    logits, rng, best = np.zeros(3), np.random.default_rng(seed), []
    for _ in range(steps):
        arm = rng.choice(3, p=softmax(logits))
        baseline = softmax(logits) @ PAYS if with_baseline else 0.0
        logits = logits + lr * policy_gradient(logits, arm, PAYS[arm] - baseline)
        best.append(softmax(logits)[2])
    return best


from labkit.views.widgets.ppo import chance_figure

curves = {
    name: np.array([learn(with_baseline, seed) for seed in range(100)])
    for name, with_baseline in (("no baseline", False), ("baseline", True))
}
for name, runs in curves.items():
    print(f"{name:12} after 150 steps the best arm has {runs[:, -1].mean():.0%}; "
          f"{(runs[:, -1] < 0.1).sum()} of 100 runs have given it up")
chance_figure(curves, "Probability of the best arm")

# %% [markdown]
# **Result.** Without a baseline the best arm ends at 76% on average, and 20 of 100 runs have given it up. With the
# baseline it ends at 95%, and 0 of 100 have. The variance of one sample falls from 10.02 to 0.25.
#
# ## Step 3 of 4: a ratio, and why it is clipped
#
# Playing is expensive, so PPO takes several steps on the same samples. But after one step the policy π is no longer the
# one that played, $π_{old}$. Each sample is therefore weighted by the **ratio** $ρ = π(a) / π_{old}(a)$: an arm that is
# now twice as likely counts twice. The average of $ρA$ over old samples is the expected advantage of the new policy.
#
# A few samples do not say much, though. Nothing in $ρA$ stops the policy from moving all its probability to the arm
# that was lucky. PPO removes the reward for going further than a **clip** ε (0.2) away:
#
# $$L = \min(ρA,\ \mathrm{clip}(ρ, 1 - ε, 1 + ε)\,A).$$
#
# **Exercise 2.** Write this objective. `N` in a name says that it holds one number for each sampled token (here: for
# each pull). All notebooks name shapes in this way: K is for turns, V for the vocabulary, T for positions of a text, E
# for episodes.

# %% tags=["exercise"]
def clipped_objective(ratio_N, advantage_N, clip):
    """PPO's objective for each token, before the mean; tensors."""
    raise NotImplementedError("your turn")


# %%
clipped_objective = use("ppo_by_hand.clipped_objective", clipped_objective)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `ratio_N.clamp(low, high)` keeps a ratio in bounds; `torch.minimum` compares number by number.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
#
# def clipped_objective(ratio_N, advantage_N, clip):
#     """PPO's objective for each token, before the mean; tensors."""
#     bound_N = ratio_N.clamp(1 - clip, 1 + clip)
#     return torch.minimum(ratio_N * advantage_N, bound_N * advantage_N)
# ```
#
# Which tokens have no gradient? Those above 1 + clip with A > 0, and those below 1 − clip with A < 0. A token with a
# *negative* advantage whose probability went **up** keeps its full gradient: the minimum lets mistakes be undone.
#
# </details>

# %%
pulls = torch.tensor([0, 0, 1, 0, 1, 1, 0, 1])  # by bad luck, the best arm is not among them
paid = torch.tensor([3.0, 3.0, 4.0, 3.0, 4.0, 4.0, 3.0, 4.0])
for clip in (float("inf"), 0.2):
    theta = torch.zeros(3, requires_grad=True)  # all arms have probability 1/3
    old_logp_N = theta.log_softmax(0)[pulls].detach()
    optimizer = torch.optim.SGD([theta], lr=1.0)
    for _ in range(100):
        ratio_N = (theta.log_softmax(0)[pulls] - old_logp_N).exp()
        loss = -clipped_objective(ratio_N, paid - paid.mean(), clip).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chances = theta.softmax(0).detach().numpy()
    print(f"clip {clip:3}   after 100 steps on eight pulls: " + ", ".join(f"{chance:.0%}" for chance in chances))

# %% [markdown]
# **Result.** Without a clip, 100 steps on the same eight pulls move 99% of the probability to the second arm, and leave
# 0% to the best arm, which was never pulled. With a clip of 0.2 the second arm ends at 42%, and the best keeps 33%.
# The second arm could earn no more by moving on, so it stopped.

# %% [markdown]
# ## An episode is a row of choices
#
# Now the bandit becomes a language model. Each token is a choice among the words of a vocabulary; an answer is a row of
# such choices, and its verdict gives the reward.

# %%
from itertools import islice

from labkit.envs import game
from labkit.play import play_many
from labkit.players.registry import load
from labkit.views.widgets.episodes import EpisodeViewer

player = load("tiny:gp-l/init", temperature=1.0, device="cpu")
deals = islice(game("gp-l").tasks("id", "train"), 60)
played = sorted(play_many(deals, player, key=(0,)), key=lambda one: one.index)
one = min(played, key=lambda one: (not one.episode.success, abs(len(one.episode.attempts) - 3), one.index))
EpisodeViewer([one.episode]).static()

# %% [markdown]
# This is our episode: one of 60 that a small language model played, the first that succeeded at its third attempt (or
# the nearest to that). Each answer is a **turn**. A batch of played episodes is called a **rollout**.
#
# The trainer sees no text. It sees the ids of the tokens, as one **row**: prompt, answer, feedback, answer, … Only
# sampled tokens carry loss: the policy did not choose the others.

# %%
from labkit.rollout import collate, gather

rollout = gather([one])
row = rollout.rows[0]
print(f"{len(row.ids)} tokens, of which {row.sampled.sum()} were sampled, in {rollout.turns} turns")
print("rewards, one a turn:", rollout.reward_EK[0])

# %% [markdown]
# How probable was each token under the policy? Dark tokens have a probability near 1; in place of a light one the
# policy might have sampled another.

# %%
from labkit.views.widgets.ppo import token_heat

tokens = [player.bundle.tokenizer.decode([int(i)]) for i in row.ids[row.sampled]]
token_heat(tokens, row.logp, row.turn)

# %% [markdown]
# The format is certain; the policy chooses at the steps of its thought, where it decides which numbers to join, and
# after a miss, where it decides whether to go on. The formula only copies the last try. Remember this when all tokens
# of an answer get the same credit.
#
# ## Log-probabilities
#
# The network reads tokens and gives, at each position, a logit for every possible next token. The log-probability of
# the token that was sampled is its logit minus the log of the sum of all exponentials. It is measured in *nats*, units
# of the natural logarithm: −0.69 nats is a probability of one half. We compute in double precision, so that results
# agree to many digits; training uses single precision.

# %%
import copy

model = copy.deepcopy(player.bundle.model).double()
ids, at = torch.from_numpy(row.ids), np.flatnonzero(row.sampled)
with torch.no_grad():
    logits_TV = model(ids[None]).logits[0]
logp_TV = logits_TV - logits_TV.exp().sum(-1, keepdim=True).log()
logp_N = logp_TV[at - 1, ids[at]]  # a token is predicted at the position before it
print(f"log-probability of the whole episode: {logp_N.sum():.3f} nats")

# %% [markdown]
# From here on each result is compared with the library's, and the two must agree. `Policy` is the trainer's wrapper of
# the model: it adds a critic, explained below.

# %%
from labkit.models import forward
from labkit.models.policy import Policy


def agree(ours, library, decimals=6):
    """Raises unless two arrays agree to this many decimals."""
    ours, library = (np.asarray(torch.as_tensor(x).detach(), dtype=float) for x in (ours, library))
    assert ours.shape == library.shape
    np.testing.assert_allclose(ours, library, rtol=0, atol=10**-decimals)
    print(f"✓ equal: the largest difference is {np.abs(ours - library).max():.1e}")


policy = Policy(model, "detached", seed=0).double()
batch = collate([row], player.bundle.pad_id)
with torch.no_grad():
    agree(logp_N, policy(**batch).logp_N)
print(f"what the sampler noted, in single precision, is off by {np.abs(row.logp - logp_N.numpy()).max():.1e} at most")

# %% [markdown]
# ## Step 4 of 4: credit over turns
#
# Which turn earned what? An early answer may spoil, or prepare, later ones. The **discounted return** of a turn adds
# the later rewards to its own, each with less weight the later it comes: $R_k = r_k + γ R_{k+1}$. After the last turn
# it is 0, whether the answer was right or the attempts ran out: running out *is* part of the game. Rewards are
# multiplied by 0.2 first, so that returns are of the order of 1.
#
# **Exercise 3.** Write the returns of an episode's K turns.

# %% tags=["exercise"]
def returns(reward_K, gamma):
    """The discounted return of each turn, an array [K]."""
    raise NotImplementedError("your turn")


# %%
returns = use("ppo_by_hand.returns", returns)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Begin with the last turn.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def returns(reward_K, gamma):
#     """The discounted return of each turn, an array [K]."""
#     return_K, later = np.zeros(len(reward_K)), 0.0
#     for k in reversed(range(len(reward_K))):
#         later = return_K[k] = reward_K[k] + gamma * later
#     return return_K
# ```
#
# One pass from the end: each return uses the one after it.
#
# </details>

# %%
from labkit.training.rl import advantages, objectives

GAMMA, LAMBDA, SCALE = 0.9, 0.95, 0.2
reward_K = np.array([attempt.reward for attempt in one.episode.attempts]) * SCALE
return_K = returns(reward_K, GAMMA)
print("rewards", reward_K.round(3), "  returns", return_K.round(3))
reward_EK, mask_EK = torch.tensor(reward_K)[None], torch.ones(1, len(reward_K), dtype=torch.bool)
agree(return_K, advantages.returns(reward_EK, mask_EK, GAMMA)[0])

# %% [markdown]
# ### The critic
#
# The baseline of a turn has to know the hand: a return that is good for a hard hand is poor for an easy one. The
# **critic** is a second output of the network, a small network on its last hidden state. It predicts the return from
# the context before an answer; the prediction is the turn's **value**.
#
# **Exercise 4.** Its loss: half the mean squared error.

# %% tags=["exercise"]
def critic_loss(value_K, return_K):
    """Half the mean squared error of the values, one number."""
    raise NotImplementedError("your turn")


# %%
critic_loss = use("ppo_by_hand.critic_loss", critic_loss)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `(a - b).square()` is a tensor; its mean is one number.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def critic_loss(value_K, return_K):
#     """Half the mean squared error of the values, one number."""
#     return 0.5 * (value_K - return_K).square().mean()
# ```
#
# The half cancels the 2 of the derivative.
#
# </details>

# %% [markdown]
# We fit a critic with your loss on two thirds of the other episodes, and test it on the rest. (A trainer fits it during
# training.)

# %%
def first_states(rollout):
    """The model's last hidden state before each turn, and the turn's discounted return."""
    batch = collate(rollout.rows, player.bundle.pad_id)
    with torch.no_grad():
        hidden_BTD = model.base_model(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    states = []
    for hidden_TD, row in zip(hidden_BTD, rollout.rows, strict=True):
        first = np.unique(row.turn, return_index=True)[1]  # of each turn, its first sampled token
        states.append(hidden_TD[np.flatnonzero(row.sampled)[first] - 1])
    own = [returns(np.array([a.reward for a in e.attempts]) * SCALE, GAMMA) for e in rollout.episodes]
    return torch.cat(states), torch.tensor(np.concatenate(own))


others = [p for p in played if p is not one]
(train_KD, train_K), (test_KD, test_K) = first_states(gather(others[:40])), first_states(gather(others[40:]))
optimizer = torch.optim.AdamW(policy.value_head.parameters(), lr=3e-3, weight_decay=0.1)
for _ in range(20):
    loss = critic_loss(policy.value_head(train_KD), train_K)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    value_K = policy.value_head(first_states(rollout)[0]).numpy()
    for name, seen_KD, returned_K in (("fitted", train_KD, train_K), ("others", test_KD, test_K)):
        explained = objectives.explained_variance(policy.value_head(seen_KD), returned_K)
        print(f"{name}: {len(returned_K)} turns, explained variance {explained:+.2f}")
print("values of our turns:", value_K.round(3))

# %% [markdown]
# **Explained variance** is 1 for a critic that predicts every return, 0 for one that always predicts the mean, and
# below 0 for a worse one. This critic knows next to nothing: 40 episodes are few, and whether a sampled answer is right
# is mostly luck. Fit for 200 steps instead of 20, and the two numbers diverge: it memorises its own episodes.
#
# ### GAE: between the critic and what happened
#
# One turn ahead, the advantage is the *error* of the critic, $δ_k = r_k + γ V_{k+1} − V_k$: what the turn earned, plus
# what the critic expects from then on, minus what it had expected. *Generalized advantage estimation* ([arXiv
# 1506.02438](https://arxiv.org/abs/1506.02438)) adds the later errors, each with another factor γλ: $A_k = δ_k + γλ
# A_{k+1}$.
#
# **Exercise 5.** Write GAE over the turns of an episode that ends.

# %% tags=["exercise"]
def gae(reward_K, value_K, gamma, lam):
    """Advantages over the turns of an episode that ends, an array [K]."""
    raise NotImplementedError("your turn")


# %%
gae = use("ppo_by_hand.gae", gae)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Go from the last turn to the first, and carry two numbers along: the next value and the next advantage.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def gae(reward_K, value_K, gamma, lam):
#     """Advantages over the turns of an episode that ends, an array [K]."""
#     advantage_K, later, next_value = np.zeros(len(reward_K)), 0.0, 0.0
#     for k in reversed(range(len(reward_K))):
#         delta = reward_K[k] + gamma * next_value - value_K[k]
#         later = advantage_K[k] = delta + gamma * lam * later
#         next_value = value_K[k]
#     return advantage_K
# ```
#
# If an episode is *cut* (a buffer is full, the game would go on), the value after the last turn is the critic's, not
# 0. Bootstrapping past a real end would credit an exhausted episode with the value of the next, unrelated hand.
#
# </details>

# %%
advantage_K = gae(reward_K, value_K, GAMMA, LAMBDA)
library, target_EK = advantages.turn_gae(reward_EK, torch.tensor(value_K)[None], mask_EK, GAMMA, LAMBDA)
for attempt, reward, advantage in zip(one.episode.attempts, reward_K, advantage_K, strict=True):
    print(f"{attempt.verdict.category:13} reward {reward:+.2f}   advantage {advantage:+.3f}")
agree(advantage_K, library[0])
agree(advantage_K + value_K, target_EK[0])  # what the critic is fitted to next

# %% [markdown]
# **Result.** The first two answers are *wrong*, and both have a positive advantage: +0.401 and +0.734. Their own reward
# is negative, but a right answer follows, and the critic had expected nothing of the kind. So a positive advantage does
# not mean "right answer". It means "from here on it went better than expected". PPO makes such a wrong answer *more*
# probable, unless the batch has better turns to compare it with: normalising, below, is such a comparison.
#
# With λ = 0 an advantage is the one-step error: it relies on the critic. With λ = 1 it is the return minus the value:
# it relies on the sampled rewards. γ sets how much a later turn counts.
#
# **Predict first.** In our episode, the first answer is wrong and a later one right. With λ from 0 to 1 (γ fixed), the
# advantage of the *first* turn …

# %%
from labkit.views.widgets.predict import predict, reveal

WAYS = ["rises", "falls", "stays as it is"]
predict("With λ from 0 to 1, the first turn's advantage:", WAYS, key="ppo.lambda")

# %%
from labkit.views.widgets.ppo import gae_figure, gae_sliders

gae_figure(gae, reward_K, value_K)

# %%
change = gae(reward_K, value_K, GAMMA, 1.0)[0] - gae(reward_K, value_K, GAMMA, 0.0)[0]
print(f"from λ = 0 to λ = 1 the first turn's advantage changes by {change:+.3f}")
reveal("ppo.lambda", WAYS[0] if change > 0 else WAYS[1] if change < 0 else WAYS[2])

# %% [markdown]
# With a live kernel, change γ and λ yourself. The grey bars are the one-step errors δ, of which the advantages are
# sums.

# %%
gae_sliders(gae, reward_K, value_K, GAMMA, LAMBDA)

# %% [markdown]
# ## One update by hand
#
# Every token gets the advantage of its turn. Before that, advantages are **normalised** over the batch, to mean 0 and
# standard deviation 1. Our batch is one episode.

# %%
ready_K = (advantage_K - advantage_K.mean()) / (advantage_K.std() + 1e-5)
agree(ready_K, advantages.normalise(library, mask_EK)[0])
print("normalised advantages", ready_K.round(3))

# %% [markdown]
# **Result.** Now the first wrong answer has -1.226, the second +0.002 and the right one +1.224: the update lowers the
# first, leaves the second and raises the third. With hundreds of episodes in a batch, the mean would be another.
#
# **Exercise 6.** Put it together: one step on the loss, which is minus the mean objective over tokens, plus
# `value_weight` times the critic's loss over turns. `score()` runs the policy as it is now: it gives the
# log-probabilities of the sampled tokens and the values of the turns, both with gradients. Use your
# `clipped_objective` and `critic_loss`.

# %% tags=["exercise"]
def update(score, optimizer, old_logp_N, advantage_N, return_K, clip, value_weight):
    """One step of PPO; returns the loss. score() gives (logp_N, value_K) of the policy as it is now."""
    raise NotImplementedError("your turn")


# %%
update = use("ppo_by_hand.update", update)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The ratio is the exponential of a difference of log-probabilities. Gradients add up until `zero_grad()`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def update(score, optimizer, old_logp_N, advantage_N, return_K, clip, value_weight):
#     """One step of PPO; returns the loss. score() gives (logp_N, value_K) of the policy as it is now."""
#     logp_N, value_K = score()
#     ratio_N = (logp_N - old_logp_N).exp()
#     loss = -clipped_objective(ratio_N, advantage_N, clip).mean() + value_weight * critic_loss(value_K, return_K)
#     optimizer.zero_grad()
#     loss.backward()
#     optimizer.step()
#     return loss.item()
# ```
#
# At the first step all ratios are 1, and the gradient is that of step 1: the plain policy gradient.
#
# </details>

# %%
LR, CLIP = 1.5e-4, 0.2
advantage_N = torch.tensor(ready_K)[row.turn]
first_K = np.unique(row.turn, return_index=True)[1]
target_K = torch.tensor(advantage_K + value_K)


def optimizer_of(policy):
    return torch.optim.AdamW(policy.parameters(), lr=LR, weight_decay=0.0)


def score_of(policy):
    """What the update asks for: the policy's log-probabilities and values, with gradients."""

    def score():
        scores = policy(**batch)
        return scores.logp_N, scores.value_N[first_K]

    return score


ours = copy.deepcopy(policy)
optimizer = optimizer_of(ours)
for step in (1, 2):
    loss = update(score_of(ours), optimizer, logp_N, advantage_N, target_K, CLIP, 0.5)
    print(f"step {step}: loss {loss:+.6f}")

# %% [markdown]
# The library's trainer computes the same from its own terms:

# %%
theirs = copy.deepcopy(policy)
optimizer = optimizer_of(theirs)
weight_EKT = objectives.mean_weights(torch.from_numpy(rollout.mask_EKT), "token").double()
share_N = (weight_EKT / weight_EKT.sum())[rollout.mask_EKT]
for step in (1, 2):
    scores = theirs(**batch)
    policy_loss = (share_N * objectives.clipped(scores.logp_N, logp_N, advantage_N, CLIP)[0]).sum()
    value_loss = objectives.value_loss(scores.value_N[first_K], torch.tensor(value_K), target_K, None).mean()
    loss = policy_loss + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():+.6f}")
    if step == 1:
        stepped = copy.deepcopy(theirs.model)  # after one step, for the figures below
agree(*(torch.cat([weight.flatten() for weight in m.parameters()]) for m in (ours, theirs)))

# %% [markdown]
# ## What the clip does to our tokens
#
# After the first step the ratios have left 1. How many tokens have no gradient any more in the second step?

# %%
from labkit.views.widgets.ppo import clip_figure


def logp_of(model):
    """Log-probabilities of the sampled tokens."""
    with torch.no_grad():
        logits_TV = model(ids[None]).logits[0]
    return (logits_TV - logits_TV.logsumexp(-1, keepdim=True))[at - 1, ids[at]]


ratio_N = (logp_of(stepped) - logp_N).exp()
library_loss_N, clipped_N, library_ratio_N = objectives.clipped(logp_of(stepped), logp_N, advantage_N, CLIP)
agree(ratio_N, library_ratio_N)
agree(-clipped_objective(ratio_N, advantage_N, CLIP), library_loss_N)
print(f"clip fraction: {clipped_N.double().mean():.0%} of {len(clipped_N)} tokens have no gradient in a second step")
print(f"ratios from {ratio_N.min():.2f} to {ratio_N.max():.2f}")
clip_figure(ratio_N.numpy(), advantage_N.numpy(), CLIP, tokens)

# %% [markdown]
# **Result.** One step has moved the ratios of single tokens to between 0.07 and 1.50, far beyond the clip. So the
# clip does not bound the policy. It removes a token's *own* gradient, here for 4% of the tokens; the gradients of other
# tokens, which share all weights, still move it. And it acts only after a step has gone too far.

# %% [markdown]
# ## KL to the initial policy
#
# How far has the whole distribution moved, not only the probability of the sampled tokens? The **Kullback–Leibler
# divergence** $\sum_v π(v) \log(π(v)/π_0(v))$ measures it; trainers penalise it to stay close to the initial
# policy $π_0$. The sum over the vocabulary needs all logits; estimates from the sampled token alone are cheaper. They
# are valid for samples of the *new* policy, so it plays our hand again, eight times.

# %%
from dataclasses import replace

from labkit.players.checkpoint import Checkpoint

moved = replace(player.bundle, model=copy.deepcopy(stepped).float())
again = Checkpoint(moved, name="after one step", temperature=1.0)
fresh = gather(play_many([one.episode.task] * 8, again, key=(1,)))
batch8 = collate(fresh.rows, player.bundle.pad_id)
places = batch8["sampled"][:, 1:]
with torch.no_grad():
    new_NV, initial_NV = (
        m(batch8["input_ids"], attention_mask=batch8["attention_mask"]).logits[:, :-1][places]
        for m in (stepped, model)
    )
new_NV, initial_NV = (x - x.logsumexp(-1, keepdim=True) for x in (new_NV, initial_NV))
exact_N = (new_NV.exp() * (new_NV - initial_NV)).sum(-1)
agree(exact_N, forward.kl_full(new_NV, initial_NV))

# %%
token_N1 = batch8["input_ids"][:, 1:][places][:, None]
log_ratio_N = (initial_NV.gather(1, token_N1) - new_NV.gather(1, token_N1))[:, 0]
k1_N, k3_N = -log_ratio_N, log_ratio_N.exp() - 1 - log_ratio_N
agree(k3_N, objectives.kl_k3(new_NV.gather(1, token_N1)[:, 0], initial_NV.gather(1, token_N1)[:, 0]))
print("mean over the sampled tokens, nats a token (± 1.96 standard errors of the tokens):")
estimates = {"exact, over the vocabulary": exact_N, "k1 = log π/π₀": k1_N, "k3 = r − 1 − log r, r = π₀/π": k3_N}
for name, kl_N in estimates.items():
    print(f"  {name:29} {kl_N.mean():7.4f} ± {1.96 * kl_N.std() / len(kl_N) ** 0.5:.4f}   lowest {kl_N.min():+.3f}")

# %% [markdown]
# All three estimate the same number. *k1* is negative for every token that has become less probable; *k3* (Schulman,
# [Approximating KL divergence](http://joschu.net/blog/kl-approx.html)) is never below 0, and has less variance while
# the two policies are close. `kl:` in a config of `stage: rl` is its weight. (Tokens of one dialogue are correlated, so
# these standard errors are somewhat too small.)
#
# ## Other kinds of credit
#
# So far every token got the advantage of its turn from a critic. There are other kinds of credit. Two of them need no
# critic and compare episodes of the *same hand*: here ours, and seven more.

# %%
more = play_many([one.episode.task] * 7, player, key=(2,))
group = gather([replace(one, index=0), *(replace(p, index=p.index + 1) for p in more)])
return_E = group.return_E.astype(float) * SCALE
print("returns of eight episodes of our hand:", return_E.round(2))
grpo_E = return_E - return_E.mean()
scaled_E = grpo_E / (return_E.std(ddof=1) + 1e-4)
same_E = torch.zeros(8, dtype=torch.long)  # one group
agree(grpo_E, advantages.group_relative(torch.tensor(return_E), same_E, scale=False))
agree(scaled_E, advantages.group_relative(torch.tensor(return_E), same_E, scale=True))

# %% [markdown]
# **GRPO** ([arXiv 2402.03300](https://arxiv.org/abs/2402.03300)) subtracts the group's mean (and, in its first form,
# divides by its spread); **RLOO** ([arXiv 2402.14740](https://arxiv.org/abs/2402.14740)) subtracts the mean of the
# *others*. All turns of an episode get the same advantage: if the episode succeeds in the end, its first wrong answer
# is rewarded too.
#
# **Exercise 7.** Write RLOO's advantage from GRPO's alone: `grpo_E` is each return minus the mean of its group of n.

# %% tags=["exercise"]
def leave_one_out(grpo_E):
    """Each return minus the mean of the others, from each return minus the mean of all."""
    raise NotImplementedError("your turn")


# %%
leave_one_out = use("ppo_by_hand.leave_one_out", leave_one_out)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Try n = 2: returns 0 and 1 have the mean 1/2. What is each minus the other?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def leave_one_out(grpo_E):
#     """Each return minus the mean of the others, from each return minus the mean of all."""
#     n = len(grpo_E)
#     return np.asarray(grpo_E) * n / (n - 1)
# ```
#
# So the two differ only by a constant factor, which does not change Adam's steps. The methods differ in the division by
# the spread, and in the credit of turns and tokens.
#
# </details>

# %%
rloo_E = leave_one_out(grpo_E)
agree(rloo_E, advantages.leave_one_out(torch.tensor(return_E), same_E))

# %% [markdown]
# **Bi-level GAE** ([arXiv 2510.16907](https://arxiv.org/abs/2510.16907)) estimates advantages of single tokens: first
# over turns, with the value at the *last* token of each turn, then from there back through the tokens of the turn. It
# needs a value before every token.

# %%
TOKEN_GAMMA, TOKEN_LAMBDA = 1.0, 0.95
with torch.no_grad():
    value_N = policy(**batch).value_N.double().numpy()
last_K = np.array([np.flatnonzero(row.turn == k)[-1] for k in range(len(reward_K))])
turn_K = gae(reward_K, value_N[last_K], GAMMA, LAMBDA)

bilevel_N = np.zeros(len(value_N))
for k, last in enumerate(last_K):
    bilevel_N[last] = turn_K[k]
    for n in reversed(np.flatnonzero(row.turn == k)[:-1]):
        delta = TOKEN_GAMMA * value_N[n + 1] - value_N[n]
        bilevel_N[n] = delta + TOKEN_GAMMA * TOKEN_LAMBDA * bilevel_N[n + 1]

mask_EKT, value_EKT = torch.from_numpy(rollout.mask_EKT), torch.zeros(rollout.mask_EKT.shape, dtype=torch.double)
value_EKT[mask_EKT] = torch.tensor(value_N)
given = (reward_EK, value_EKT, mask_EKT, GAMMA, LAMBDA, TOKEN_GAMMA, TOKEN_LAMBDA)
agree(bilevel_N, advantages.bilevel_gae(*given)[0][mask_EKT])

# %% [markdown]
# The trainer's `assign` computes all of these; `credit: {kind: ...}` in a config chooses one. The next cell compares
# the advantages of our episode's tokens, kind by kind (they are stored in single precision, so we compare five
# decimals):

# %%
from labkit.training.rl.credit import Credit, assign

with torch.no_grad():
    scores = policy(**collate(group.rows, player.bundle.pad_id))
ends = np.cumsum([len(r.turn) for r in group.rows])[:-1]
for r, values in zip(group.rows, np.split(scores.value_N.numpy(), ends), strict=True):
    r.arrays["value"] = values.astype(np.float32)
credits = {}
for kind in ("ppo", "ppo-bilevel", "reinforce", "grpo", "rloo"):
    assign(group, Credit(kind=kind, normalise=False), group=8)
    credits[kind] = group.rows[0].arrays["advantage"].copy()
by_hand = {
    "ppo": advantage_K[row.turn], "ppo-bilevel": bilevel_N, "reinforce": return_K[row.turn],
    "grpo": np.full(len(row.turn), grpo_E[0]), "rloo": np.full(len(row.turn), rloo_E[0]),
}
for kind in credits:
    agree(by_hand[kind], credits[kind], decimals=5)

# %%
from labkit.views.widgets.ppo import credit_figure

credit_figure(credits, tokens, row.turn)

# %% [markdown]
# Our critic was fitted before answers only, so its values inside an answer are poor; hence the jagged line of bi-level
# credit. (With `ppo-bilevel` the trainer fits it at every token.)
#
# The sixth kind, **ppo-turn**, is the authors'. Its advantages are those of `ppo`, but a turn has one ratio, that of
# the whole answer's probability, in which tokens before the decisive field (the formula) count half. So one clip holds
# for all tokens of an answer.

# %%
step_N = (logp_of(stepped) - logp_N).numpy()
weight_N = np.where(row.decisive, 1.0, 0.5)
sums_K = np.array([(weight_N * step_N)[row.turn == k].sum() for k in range(len(reward_K))])
_, stopped_K, turn_ratio_K = objectives.clipped(
    torch.tensor(sums_K), torch.zeros(len(sums_K)), torch.tensor(ready_K), CLIP
)
agree(np.exp(sums_K), turn_ratio_K)
for k in range(len(reward_K)):
    token = np.exp(step_N[row.turn == k])
    share = clipped_N.numpy()[row.turn == k].mean()
    print(f"turn {k + 1}   ratio of the turn {turn_ratio_K[k]:8.3f} ({'clipped' if stopped_K[k] else 'free'})"
          f"   of its tokens {token.min():.3f} to {token.max():.3f} ({share:.0%} clipped)")

# %% [markdown]
# A turn's ratio is a product over a hundred tokens and more, so it leaves [0.8, 1.2] much sooner than most token ratios
# do. Unless steps are tiny, an answer has no gradient left after one step of `ppo-turn`. The authors' learning rate is
# 1e-6.
#
# ## What would change my mind
#
# * One episode is no batch. With hundreds, advantages are normalised over all of them, and the luck of single episodes
#   averages out: a step of the same size has a better direction.
# * The agreement shows that the library computes these formulas, not that they are the best choice. Whether the kind of
#   credit matters is an experiment: same deals, several seeds.
# * The critic is fitted on 40 episodes of a tiny model. Values of a real run are better, and change with the policy.
#
# **Next**
# * [06_ppo_scaling](06_ppo_scaling.ipynb): the same with hundreds of episodes, for many updates. `labkit train
#   configs/experiments/gp-l/rl.yaml --set credit.kind=grpo group=8` trains with another credit.
# * `labkit/training/rl/advantages.py` and `objectives.py` are the functions used here; `update.py` is the loop.
# * Read: *PPO* and *GAE* (above); *The 37 implementation details of PPO* ([ICLR blog
#   2022](https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/)); *Dr. GRPO* ([arXiv
#   2503.20783](https://arxiv.org/abs/2503.20783)), on what the division by the spread does; appendix A of the paper.

# %%
import platform
from importlib.metadata import version

print(f"episode {one.index} of 60: suite id, split train, seed 0; noise keyed by (0, episode, attempt); critic seed 0")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
