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
# **By the end you will have shown** that every number in a PPO update (log-probabilities, returns, advantages, ratios,
# the clipped objective, the KL, the step itself) can be computed in a few lines from one episode, and agrees with what
# the lab's trainer computes to six decimals.
#
# *For* anyone who knows what a gradient step is; policy gradients are introduced where they are used. The game is in
# [notebook 01](01_general_points.ipynb), attempts and feedback in [03](03_sequential_revision.ipynb). *Time*: 60
# minutes; all cells together run in about a minute on two CPU cores, offline. *You will be able to*
#
# * say which tokens of a dialogue carry loss, and why the others do not;
# * compute returns and **GAE** over turns, and explain what γ and λ trade;
# * read a clip fraction, and tell which tokens have no gradient;
# * tell six kinds of credit apart by the advantages that they give the same tokens.
#
# The method is *Proximal policy optimization* ([arXiv 1707.06347](https://arxiv.org/abs/1707.06347)) on dialogues of
# several turns, as in *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)).

# %% tags=["setup"]
import numpy as np

from labkit.exercises import check

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
# the nearest to that). In the words of reinforcement learning, each answer is an **action** (or each token is: we will
# see both), its verdict gives a **reward**, and the model's distribution over tokens is the **policy**.
#
# ## What was sampled
#
# The trainer sees no text. It sees the token ids of the context and of the answers, as one **row**: prompt, answer,
# feedback, answer, … Only sampled tokens carry loss: the policy did not choose the others.

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
from IPython.display import HTML

from labkit.views.markup import text


def heat(row, logp_N):
    """The sampled tokens of a row, turn by turn, shaded by their probability."""
    ids, lines = row.ids[row.sampled], []
    for turn in np.unique(row.turn):
        spans = []
        for n in np.flatnonzero(row.turn == turn):
            p = float(np.exp(logp_N[n]))
            shown = text(player.bundle.tokenizer.decode([int(ids[n])]).replace(" ", "·"))
            colours = f"background: rgba(0,114,178,{0.85 * p:.2f}); color: {'white' if p > 0.5 else 'black'}"
            spans.append(f'<span title="p = {p:.3f}" style="{colours}; padding: 1px 2px">{shown}</span>')
        lines.append(f'<p style="font-family: monospace; line-height: 1.9">turn {turn + 1} {" ".join(spans)}</p>')
    return HTML("".join(lines))


heat(row, row.logp)

# %% [markdown]
# The format is certain; the policy chooses at the steps of its thought, where it decides which numbers to join, and
# after a miss, where it decides whether to go on. The formula only copies the last try. Remember this when all tokens
# of an answer get the same credit.
#
# ## Log-probabilities
#
# The policy is a network that reads tokens and gives, at each position, a number (*logit*) for every possible next
# token. The log-probability of the token that was sampled is its logit minus the log of the sum of all exponentials. We
# compute in double precision, so that results agree to many digits; training uses single precision.

# %%
import copy

import torch

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
# ## Returns
#
# A turn's credit is more than its own reward: an early answer may spoil, or prepare, later ones. The **discounted
# return** adds the later rewards, each with less weight the later it comes: $R_k = r_k + γ R_{k+1}$. Rewards are
# multiplied by 0.2 first, so that the critic's targets are of the order of 1.

# %%
GAMMA, LAMBDA, SCALE = 0.9, 0.95, 0.2
reward_K = np.array([attempt.reward for attempt in one.episode.attempts]) * SCALE

return_K, later = np.zeros(len(reward_K)), 0.0
for k in reversed(range(len(reward_K))):
    later = return_K[k] = reward_K[k] + GAMMA * later
print("rewards", reward_K.round(3), "  returns", return_K.round(3))

# %%
from labkit.training.rl import advantages, objectives

reward_EK, mask_EK = torch.tensor(reward_K)[None], torch.ones(1, len(reward_K), dtype=torch.bool)
agree(return_K, advantages.returns(reward_EK, mask_EK, GAMMA)[0])

# %% [markdown]
# After the last turn the value is 0, whether the answer was right or the attempts ran out: running out *is* part of the
# game.
#
# ## The critic
#
# A return does not show whether it was good *for this hand*. The **critic** is a second output of the network, here a
# small MLP on the last hidden state. It predicts the return from the context before an answer. We fit one on two thirds
# of the other episodes, and test it on the rest. (A trainer fits it during training.)

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
    mask_EK = torch.from_numpy(rollout.mask_EK)
    rewards_EK = torch.from_numpy(rollout.reward_EK).double() * SCALE
    return torch.cat(states), advantages.returns(rewards_EK, mask_EK, GAMMA)[mask_EK]


others = [p for p in played if p is not one]
(train_KD, train_K), (test_KD, test_K) = first_states(gather(others[:40])), first_states(gather(others[40:]))
optimizer = torch.optim.AdamW(policy.value_head.parameters(), lr=3e-3, weight_decay=0.1)
for _ in range(20):
    loss = objectives.value_loss(policy.value_head(train_KD), None, train_K, None).mean()
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
# below 0 for a worse one. Expect little: 40 episodes are few, and whether a sampled answer is right is mostly luck. Fit
# for 200 steps instead of 20, and the two numbers diverge: the critic memorises its own episodes.
#
# ## GAE: between the critic and what happened
#
# The **advantage** of a turn is how much better it went than the critic expected. One step ahead, that is the *error*
# $δ_k = r_k + γ V_{k+1} − V_k$. *Generalized advantage estimation* ([arXiv
# 1506.02438](https://arxiv.org/abs/1506.02438)) adds the later errors, each with another factor γλ: $A_k = δ_k + γλ
# A_{k+1}$.

# %%
def gae(reward_K, value_K, gamma, lam):
    """Advantages over the turns of an episode that ends."""
    advantage_K, later, next_value = np.zeros(len(reward_K)), 0.0, 0.0
    for k in reversed(range(len(reward_K))):
        delta = reward_K[k] + gamma * next_value - value_K[k]
        later = advantage_K[k] = delta + gamma * lam * later
        next_value = value_K[k]
    return advantage_K


advantage_K = gae(reward_K, value_K, GAMMA, LAMBDA)
library, target_EK = advantages.turn_gae(reward_EK, torch.tensor(value_K)[None], mask_EK, GAMMA, LAMBDA)
print("advantages", advantage_K.round(3))
agree(advantage_K, library[0])
agree(advantage_K + value_K, target_EK[0])  # what the critic is fitted to next

# %% [markdown]
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
import plotly.graph_objects as go
from plotly.subplots import make_subplots

LAMS = (0.0, 0.5, 0.95, 1.0)
GAMMAS = (0.5, 0.9, 1.0)
turns = [f"turn {k + 1}" for k in range(len(reward_K))]
colours = ["#56B4E9", "#0072B2", "#CC79A7", "#000000"]
figure = make_subplots(rows=1, cols=3, shared_yaxes=True, subplot_titles=[f"γ = {gamma:g}" for gamma in GAMMAS])
for column, gamma in enumerate(GAMMAS, 1):
    for lam, colour in zip(LAMS, colours, strict=True):
        figure.add_bar(
            x=turns, y=gae(reward_K, value_K, gamma, lam), name=f"λ = {lam:g}", marker_color=colour,
            legendgroup=f"{lam}", showlegend=column == 1, row=1, col=column,
        )
figure.update_layout(title="Advantages of the episode's turns", template="plotly_white", height=340)
figure

# %%
change = gae(reward_K, value_K, GAMMA, 1.0)[0] - gae(reward_K, value_K, GAMMA, 0.0)[0]
print(f"from λ = 0 to λ = 1 the first turn's advantage changes by {change:+.3f}")
reveal("ppo.lambda", WAYS[0] if change > 0 else WAYS[1] if change < 0 else WAYS[2])

# %% [markdown]
# With a live kernel, change γ and λ yourself. The grey bars are the one-step errors δ, of which the advantages are
# sums.

# %%
import ipywidgets as widgets

from labkit.views.widgets.live import figure_data, live_figure, show

sliders = [widgets.FloatSlider(value, min=0, max=1, step=0.05) for value in (GAMMA, LAMBDA)]
sliders[0].description, sliders[1].description = "γ", "λ"
live = live_figure("the sliders")


def redraw(_=None):
    gamma, lam = (slider.value for slider in sliders)
    bars = [
        go.Bar(x=turns, y=gae(reward_K, value_K, gamma, some_lam), name=name, marker_color=colour)
        for name, some_lam, colour in (("δ", 0.0, "#BBBBBB"), ("advantage", lam, "#0072B2"))
    ]
    live.figure = figure_data(go.Figure(bars, {"template": "plotly_white", "height": 320, "margin": {"t": 20}}))


redraw()
for slider in sliders:
    slider.observe(redraw, "value")
fallback = "sliders for γ and λ, which need a live kernel; the figure above shows twelve settings"
static = {"text/plain": fallback, "text/html": f"<p><em>({fallback})</em></p>"}
show(widgets.VBox([widgets.HBox(sliders), live]), static)

# %% [markdown]
# **Exercise 1.** Write the advantages as sums: $A_k = \sum_{l≥0} (γλ)^l δ_{k+l}$, without a recursion.

# %% tags=["exercise"]
def gae_as_sum(delta_K, gamma, lam):
    """Advantages [K] from one-step errors [K]."""
    raise NotImplementedError("your turn")


# %%
check("ppo_by_hand.gae_as_sum", gae_as_sum)

# %% [markdown]
# <details><summary>Hint</summary>
#
# For turn k, take `delta_K[k:]` and as many powers of γλ.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def gae_as_sum(delta_K, gamma, lam):
#     """Advantages [K] from one-step errors [K]."""
#     weight_K = (gamma * lam) ** np.arange(len(delta_K))
#     return np.array([delta_K[k:] @ weight_K[: len(delta_K) - k] for k in range(len(delta_K))])
# ```
#
# γ and λ multiply the later errors as a product, but they differ: γ is also inside each δ, so it changes the
# *objective*; λ changes only the estimate.
#
# </details>

# %% [markdown]
# **Exercise 2.** Suppose the rollout was *cut* after these turns (a buffer is full, the episode would go on). Then the
# turns after the cut have a value: the critic's value of the next turn, `next_value`. Write GAE for that case; with
# `next_value` 0 it is the one above.

# %% tags=["exercise"]
def cut_gae(reward_K, value_K, next_value, gamma, lam):
    """Advantages [K] of turns before a cut."""
    raise NotImplementedError("your turn")


# %%
check("ppo_by_hand.cut_gae", cut_gae)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Only the last δ changes. The errors after the cut are unknown, and left out.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def cut_gae(reward_K, value_K, next_value, gamma, lam):
#     """Advantages [K] of turns before a cut."""
#     advantage_K, later = np.zeros(len(reward_K)), 0.0
#     for k in reversed(range(len(reward_K))):
#         delta = reward_K[k] + gamma * next_value - value_K[k]
#         later = advantage_K[k] = delta + gamma * lam * later
#         next_value = value_K[k]
#     return advantage_K
# ```
#
# Do not confuse *terminated* and *truncated* episodes: bootstrapping past a real end credits an exhausted episode with
# the value of the next, unrelated hand.
#
# </details>

# %% [markdown]
# ## One update by hand
#
# The policy gradient raises the log-probability of each sampled token in proportion to its advantage: the loss is
# $-\frac{1}{N}\sum_n A_n \log π(\text{token}_n)$. Every token gets the advantage of its turn. Before that, advantages
# are **normalised** over the batch, to mean 0 and standard deviation 1: answers above the mean become likelier, those
# below it less likely. Our batch is one episode.

# %%
ready_K = (advantage_K - advantage_K.mean()) / (advantage_K.std() + 1e-5)
agree(ready_K, advantages.normalise(library, mask_EK)[0])
print("normalised advantages", ready_K.round(3))

# %% [markdown]
# The step is Adam's. At the first step its running means *are* the gradient and its square, so each weight moves by the
# learning rate, whatever the size of its gradient.

# %%
LR = 1.5e-4
advantage_N = torch.tensor(ready_K)[row.turn]


def logp_of(model):
    """Log-probabilities of the sampled tokens, with gradients."""
    logits_TV = model(ids[None]).logits[0]
    return (logits_TV - logits_TV.logsumexp(-1, keepdim=True))[at - 1, ids[at]]


stepped = copy.deepcopy(model)
loss = -(advantage_N * logp_of(stepped)).mean()
gradients = torch.autograd.grad(loss, list(stepped.parameters()))
with torch.no_grad():
    for weight, gradient in zip(stepped.parameters(), gradients, strict=True):
        weight -= LR * gradient / (gradient.abs() + 1e-8)
print(f"gradient norm {torch.cat([g.flatten() for g in gradients]).norm():.3f}")

# %% [markdown]
# The library does the same with the clipped objective (next section), a weighted average over tokens, and PyTorch's
# AdamW.

# %%
library_policy = copy.deepcopy(policy)
optimizer = torch.optim.AdamW(library_policy.model.parameters(), lr=LR, weight_decay=0.0)
weight_EKT = objectives.mean_weights(torch.from_numpy(rollout.mask_EKT), "token").double()
share_N = (weight_EKT / weight_EKT.sum())[rollout.mask_EKT]
loss_N, _, ratio_N = objectives.clipped(library_policy(**batch).logp_N, logp_N, advantage_N, clip=0.2)
(share_N * loss_N).sum().backward()
optimizer.step()
assert torch.equal(ratio_N.round(decimals=9), torch.ones_like(ratio_N))  # before the step all ratios are 1
flat = [torch.cat([weight.flatten() for weight in m.parameters()]) for m in (stepped, library_policy.model)]
agree(*flat)

# %% [markdown]
# ## The ratio, and the clip
#
# After the step the policy differs from the one that played. The **ratio** $π_{new} / π_{old}$ of each token shows how
# much. PPO takes several steps on the same episodes. A token has no gradient once its ratio has moved by more than the
# clip (0.2) *in the direction of its advantage*: $L = \min(ρA,\ \mathrm{clip}(ρ, 0.8, 1.2)\,A)$.

# %%
CLIP = 0.2
with torch.no_grad():
    ratio_N = (logp_of(stepped) - logp_N).exp()
free_N, bound_N = ratio_N * advantage_N, ratio_N.clamp(1 - CLIP, 1 + CLIP) * advantage_N
objective_N = torch.minimum(free_N, bound_N)
library_loss_N, clipped_N, library_ratio_N = objectives.clipped(logp_of(stepped).detach(), logp_N, advantage_N, CLIP)
agree(ratio_N, library_ratio_N)
agree(-objective_N, library_loss_N)
print(f"clip fraction: {clipped_N.double().mean():.0%} of {len(clipped_N)} tokens have no gradient in a second step")

# %%
figure = make_subplots(rows=1, cols=2, subplot_titles=["advantage above 0", "advantage below 0"])
line = np.linspace(0.4, 1.6, 121)
tokens = [player.bundle.tokenizer.decode([int(i)]) for i in row.ids[row.sampled]]
for column, sign in ((1, 1.0), (2, -1.0)):
    curve = np.minimum(sign * line, sign * line.clip(1 - CLIP, 1 + CLIP))
    place = {"row": 1, "col": column, "showlegend": column == 1}
    figure.add_scatter(x=line, y=curve, line_color="#767676", name="objective / |A|", **place)
    for stopped, colour, symbol in ((False, "#0072B2", "circle"), (True, "#D55E00", "x")):
        chosen = (advantage_N * sign > 0) & (clipped_N == stopped)
        figure.add_scatter(
            x=ratio_N[chosen].clamp(0.4, 1.6), y=(objective_N / advantage_N.abs())[chosen].clamp(-1.6, 1.6),
            mode="markers", marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.7},
            text=[t for t, c in zip(tokens, chosen, strict=True) if c], name="clipped" if stopped else "not clipped",
            **place,
        )
    figure.update_xaxes(title="ratio (beyond the frame: at its edge)", row=1, col=column)
figure.update_layout(title="The clipped objective, our tokens after one step", template="plotly_white", height=380)
figure

# %% [markdown]
# Most tokens stay at 1: what was certain before is certain after. But the clip is no hard limit: it removes a token's
# *own* gradient, while the gradients of other tokens, which share all weights, still move it.
#
# **Exercise 3.** For one token, say whether the clip leaves it without a gradient. (There are four cases: which two?)

# %% tags=["exercise"]
def has_no_gradient(ratio, advantage, clip):
    """True if the clipped objective does not depend on the policy at this token; advantage is not 0."""
    raise NotImplementedError("your turn")


# %%
check("ppo_by_hand.has_no_gradient", has_no_gradient)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Look at the figure: where is the curve flat?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def has_no_gradient(ratio, advantage, clip):
#     """True if the clipped objective does not depend on the policy at this token; advantage is not 0."""
#     return ratio > 1 + clip if advantage > 0 else ratio < 1 - clip
# ```
#
# A token with a *negative* advantage whose probability went **up** keeps its full gradient, however far it went: the
# minimum lets mistakes be undone.
#
# </details>

# %% [markdown]
# ## KL to the initial policy
#
# How far has the whole distribution moved, not only the probability of the sampled tokens? The **Kullback–Leibler
# divergence** $\sum_v π(v) \log(π(v)/π_0(v))$ measures it, in nats; trainers penalise it to stay close to the initial
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
rloo_E = np.array([r - np.delete(return_E, e).mean() for e, r in enumerate(return_E)])
scaled_E = grpo_E / (return_E.std(ddof=1) + 1e-4)
same_E = torch.zeros(8, dtype=torch.long)  # one group
agree(grpo_E, advantages.group_relative(torch.tensor(return_E), same_E, scale=False))
agree(scaled_E, advantages.group_relative(torch.tensor(return_E), same_E, scale=True))
agree(rloo_E, advantages.leave_one_out(torch.tensor(return_E), same_E))

# %% [markdown]
# **GRPO** ([arXiv 2402.03300](https://arxiv.org/abs/2402.03300)) subtracts the group's mean (and, in its first form,
# divides by its spread); **RLOO** ([arXiv 2402.14740](https://arxiv.org/abs/2402.14740)) subtracts the mean of the
# *others*. All turns of an episode get the same advantage: if the episode succeeds in the end, its first wrong answer
# is rewarded too.
#
# **Exercise 4.** Write RLOO's advantage from GRPO's alone: `grpo_E` is each return minus the mean of its group of n.

# %% tags=["exercise"]
def leave_one_out(grpo_E):
    """Each return minus the mean of the others, from each return minus the mean of all."""
    raise NotImplementedError("your turn")


# %%
check("ppo_by_hand.leave_one_out", leave_one_out)

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
figure = go.Figure(layout={
    "title": "What the tokens of one episode are credited with", "template": "plotly_white", "height": 400,
    "xaxis_title": "sampled token; lines where a turn ends", "yaxis_title": "advantage, before normalising",
})
colours, dashes = ("#0072B2", "#000000", "#767676", "#009E73", "#CC79A7"), ("solid", "solid", "dot", "dash", "dashdot")
for (kind, advantage), colour, dash in zip(credits.items(), colours, dashes, strict=True):
    line = {"color": colour, "dash": dash, "shape": "hv"}
    figure.add_scatter(y=advantage, name=kind, text=tokens, line=line, hovertemplate="%{text}: %{y:.3f}")
for last in last_K[:-1]:
    figure.add_vline(x=last + 0.5, line={"color": "#BBBBBB", "width": 1})
figure

# %% [markdown]
# Our critic was fitted before answers only, so its values inside an answer are poor; hence the jagged line of bi-level
# credit. (With `ppo-bilevel` the trainer fits it at every token.)
#
# The sixth kind, **ppo-turn**, is the authors'. Its advantages are those of `ppo`, but a turn has one ratio, that of
# the whole answer's probability, in which tokens before the decisive field (the formula) count half. So one clip holds
# for all tokens of an answer.

# %%
with torch.no_grad():
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
