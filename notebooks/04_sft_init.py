# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # SFT first: what an Init teaches
#
# **By the end you will have shown** what a few steps of supervised fine-tuning (**SFT**) change in a model before
# reinforcement learning (**RL**: the model plays, and answers that earned more are made likelier) begins, which of
# *format*, *rule* and *right answer* moves first, how much RL would find to learn from, and what more steps cost.
#
# *For* anyone who has seen [the tour](00_tour.ipynb) and knows what a gradient step is. *Time*: 45 minutes; all cells
# together run in about a minute and a half on two CPU cores, offline. *You will be able to*
#
# * say which tokens of a dialogue the loss of SFT sees, and compute it;
# * tell an answer's validity from its correctness, in the verdicts of a verifier;
# * measure the learning signal of RL in a checkpoint, without training it;
# * say when an **Init**, the checkpoint that RL starts from, is too short or too long.
#
# *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161), section 5.4) finds that RL
# needs SFT first: without it the model does not answer in the format that is judged, and nothing can be rewarded.

# %% tags=["setup"]
import os
from pathlib import Path

from labkit.exercises import check

FAST = os.environ.get("LABKIT_FAST") == "1"
ROOT = Path("..")  # the folder of the repository
STEPS = (10, 40) if FAST else (1, 4, 10, 20, 40, 80)  # of SFT, after which we look
DEALS, SAMPLES = (16, 4) if FAST else (48, 8)  # hands that are sampled, answers to each

# %%
from IPython.display import display

from labkit.envs import game
from labkit.play import play
from labkit.players.registry import load
from labkit.views.widgets.episodes import EpisodeViewer

hand = game("gp-l").task(hand=["K", "6", "2", "4"], attempts=1)
for name in ("tiny:base", "tiny:gp-l/init"):
    display(EpisodeViewer([play(hand, load(name))]).static())

# %% [markdown]
# The first answer is that of `tiny:base`, which meets this prompt for the first time. It is a small **base model**: a
# network that was trained to predict the next token of a large mixture of texts. The second is that of
# `tiny:gp-l/init`, the same network after the few steps of SFT that this notebook repeats. (J, Q and K count as 10.)
#
# One hand shows how an answer looks, not what is usual. So we **sample**: several answers to each of many hands, each
# token drawn from the model's distribution as it is (*temperature* 1). That is how RL will play.
#
# ## The base model under the task's own prompt
#
# The **verifier**, the program that judges answers, makes its checks in an order, and an answer's **category** is the
# first that fails. So the checks are a funnel, each part within the one before:
#
# | part | the answer ... | falls out as |
# |---|---|---|
# | *readable* | is a JSON object with a formula | `unreadable` |
# | *legal* | its formula can be read | `illegal_formula` |
# | *valid* | its formula uses each card once, as it counts | `wrong_numbers` |
# | *right* | it makes 24 | `wrong_value` |
#
# The first two are the **format**, the third is the **rule**, the last is **correctness**.

# %%
from labkit.views.widgets.predict import predict, reveal

SIZES = ["fewer than a third", "a third to two thirds", "more than two thirds"]
predict("The base has never seen this prompt. How many answers are legal formulas in JSON?", SIZES, key="init.base")

# %%
from labkit.evaluation import Estimate, evaluate
from labkit.evaluation.metrics import Trials, mean, share

FUNNEL = ("readable", "legal", "valid", "right")


def look(name):
    """Sample answers to hands that RL will be dealt: the funnel, and what there is to learn from."""
    player = load(str(name), temperature=1.0, max_new_tokens=64)
    result = evaluate(player, "gp-l", "id", split="train", episodes=DEALS, attempts=1, samples=SAMPLES)
    groups = {}
    for episode in result.episodes:
        groups.setdefault(episode.task.id, []).append(episode)
    first = [[e.attempts[0] for e in group] for group in groups.values()]
    readable = [Trials(sum(a.verdict.category != "unreadable" for a in g), len(g)) for g in first]
    return {
        "readable": share(readable),
        "legal": result.details["legal"],
        "valid": result.details["valid"],
        "right": Estimate(result.value, result.n, result.ci95),
        "rewards differ": share(Trials(len({a.reward for a in g}) > 1) for g in first),
        "right and wrong": share(Trials(0 < sum(a.verdict.success for a in g) < len(g)) for g in first),
        "entropy": mean([-sum(a.sample.logp for a in g) / len(g) for g in first]),
    }


# %%
def told(found, names):
    for name in names:
        value, n, (low, high) = found[name]
        print(f"   {name:15} {value:6.1%}   95% [{low:5.1%}, {high:6.1%}]   n = {n}")


looks = {"0": look("tiny:base")}
told(looks["0"], FUNNEL)

# %%
legal = looks["0"]["legal"].value
reveal("init.base", SIZES[0] if legal < 1 / 3 else SIZES[1] if legal < 2 / 3 else SIZES[2])

# %% [markdown]
# *n* counts the answers, but the intervals are worked out over hands, since samples of one hand are correlated. Where
# in the funnel does most fall out? If *readable* is near 1, this base model knows the format already: it has met JSON
# answers in pre-training, under other prompts. The paper's base model wrote prose instead (its Figure 20). Keep that in
# mind for the last section, on RL without SFT.
#
# **Exercise 1.** Work out the funnel from the verdicts alone. You get a list of categories, one for each answer, out of
# `unreadable`, `illegal_formula`, `wrong_numbers`, `wrong_value`, `correct`; return a dictionary with the shares
# `"readable"`, `"legal"`, `"valid"` and `"right"`, each of *all* answers.

# %% tags=["exercise"]
def funnel(categories):
    """The shares of answers that pass each part of the funnel."""
    raise NotImplementedError("your turn")


# %%
check("sft_init.funnel", funnel)

# %% [markdown]
# <details><summary>Hint</summary>
#
# An answer passes a part if its category comes later in the list than the one by which it would fall out there.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def funnel(categories):
#     """The shares of answers that pass each part of the funnel."""
#     order = ["unreadable", "illegal_formula", "wrong_numbers", "wrong_value", "correct"]
#     passed = [order.index(category) for category in categories]
#     names = ["readable", "legal", "valid", "right"]
#     return {name: sum(p > n for p in passed) / len(passed) for n, name in enumerate(names)}
# ```
#
# Only the first failure is a category: an answer with the wrong numbers may have a wrong value too. So *right / valid*
# is how well the model calculates where it keeps the rule, and *valid / legal* how well it keeps the rule.
#
# </details>

# %% [markdown]
# ## Train it, live
#
# `configs/experiments/gp-l/init.yaml` is the Init's recipe. We start it as a process of its own and let it go on for
# longer than the recipe does, with a checkpoint after each of a few numbers of steps. While it trains, read on.

# %%
from labkit.config import read
from labkit.dispatch.local import BackgroundRun

CONFIG = ROOT / "configs/experiments/gp-l/init.yaml"
recipe = read(CONFIG)
longer = [f"steps={STEPS[-1]}", f"checkpoints={list(STEPS)}", "probe=null", "name=notebook-04"]
training = BackgroundRun(CONFIG, longer, out=ROOT / "runs")
print(f"the recipe: {recipe['steps']} steps of {recipe['batch_size']} examples at a learning rate of {recipe['lr']:g}")
print(f"the run {training.run.id} goes on to {STEPS[-1]} steps")

# %% [markdown]
# ## What SFT sees
#
# An example is a dialogue: the task's prompt, and the answer of an **expert**, a solver that knows all solutions
# and gives one of the simplest. The network predicts every token from those before it; the **loss** is the
# cross-entropy, $-\log p$ of the token that stands there (in **nats**: the logarithm is the natural one), *averaged
# over the tokens of the answer only*. What the prompt says is given, not to be imitated: that is the **loss mask**.

# %%
import numpy as np
import torch

from labkit.models.chat import encode
from labkit.training.sft.data import expert_dialogues

base, init = load("tiny:base").bundle, load("tiny:gp-l/init").bundle
tokenizer = base.tokenizer
held_out = encode(tokenizer, expert_dialogues("gp-l", 64, split="dev", seed=1))


@torch.no_grad()
def token_losses(loaded, example):
    """Cross-entropy of the tokens of the answer, in nats, each given all that stands before it."""
    ids = torch.from_numpy(example.ids)
    logp_TV = loaded.model(ids[None]).logits[0].float().log_softmax(-1)
    loss_T = -logp_TV[:-1].gather(1, ids[1:, None])[:, 0]  # what stands at t + 1 was predicted at t
    return loss_T.numpy()[example.loss[1:]]


example = next(e for e in held_out if '"K"' in tokenizer.decode(e.ids))
print(f"{len(example.ids)} tokens, of which {example.loss.sum()} carry loss")

# %%
from IPython.display import HTML

from labkit.views.markup import text


def painted(ids, losses, label):
    """Tokens as dark as they were unexpected."""
    spans = []
    for i, loss in zip(ids, losses, strict=True):
        dark = min(1.0, loss / 2)
        style = f"background: rgba(213,94,0,{dark:.2f}); color: {'white' if dark > 0.7 else 'inherit'}; padding: 2px"
        number = f"<sub>{loss:.1f}</sub>" if loss > 0.3 else ""
        spans.append(f'<span style="{style}">{text(tokenizer.decode([int(i)]))}{number}</span>')
    total = f"{label}, mean {np.mean(losses):.3f} nats a token"
    return f'<p style="font-family: monospace; line-height: 2.1"><b>{total}</b><br>{" ".join(spans)}</p>'


prompt, answer = (tokenizer.decode(example.ids[example.loss == learnt]) for learnt in (False, True))
grey = f'<p style="font-family: monospace; color: #767676"><b>no loss</b><br>{text(prompt)}</p>'
rows = {"base": base, f"after {recipe['steps']} steps": init}
lines = [painted(example.ids[example.loss], token_losses(m, example), name) for name, m in rows.items()]
HTML(grey + "".join(lines))

# %% [markdown]
# Dark tokens were a surprise; the little number is their loss in nats. Brackets, quotation marks and key words are
# paler than what has to be *decided*: the numbers that the cards count as, and the formula. A few steps cannot
# teach arithmetic; look which of the dark tokens became paler. The same for many held-out examples, part by part:

# %%
def parts(example):
    """For each token of the answer, the field that it belongs to."""
    said, found = "", []
    for i in example.ids[example.loss]:
        said += tokenizer.decode([int(i)])
        found.append("formula" if '"formula' in said else "number" if '"number' in said else "cards")
    return np.array(found)


for part in ("cards", "number", "formula"):
    before, after = ([token_losses(m, e)[parts(e) == part].mean() for e in held_out] for m in (base, init))
    change = mean([float(a - b) for b, a in zip(before, after, strict=True)])
    low, high = change.ci95
    print(f"{part:8} {np.mean(before):.3f} → {np.mean(after):.3f} nats a token   change {change.value:+.3f} "
          f"95% [{low:+.3f}, {high:+.3f}]   n = {change.n} examples")

# %% [markdown]
# **Exercise 2.** Build the loss mask of a whole dialogue. You get its tokens as text: a turn is opened by
# `<|user|>` or `<|assistant|>` and closed by `<|end|>`; return a list of `True` where the token carries loss. (All of
# the assistant's turns are learnt, and the model has to learn where to stop.)

# %% tags=["exercise"]
def loss_mask(tokens):
    """True on the tokens that the model is to learn to say."""
    raise NotImplementedError("your turn")


# %%
check("sft_init.loss_mask", loss_mask)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which token makes the difference between "the model speaks" and "the model is spoken to"? Who says *it*?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def loss_mask(tokens):
#     """True on the tokens that the model is to learn to say."""
#     mask, speaking = [], False
#     for token in tokens:
#         mask.append(speaking)
#         if token == "<|assistant|>":
#             speaking = True
#         elif token == "<|end|>":
#             speaking = False
#     return mask
# ```
#
# `<|assistant|>` is put there by whoever asks, so it is not learnt; `<|end|>` is said by the model. Forget it in the
# mask, and the model never stops.
#
# </details>

# %% [markdown]
# **Exercise 3.** Now the loss itself. `logits_TV[t]` are the network's numbers for the token *after* place `t`, over
# the vocabulary; `ids_T` are the tokens that stand there, `loss_T` is the mask (NumPy arrays). Return the mean
# cross-entropy, in nats. The check compares it with the trainer's.

# %% tags=["exercise"]
def answer_loss(logits_TV, ids_T, loss_T):
    """Mean of -log p over the tokens that carry loss."""
    raise NotImplementedError("your turn")


# %%
check("sft_init.answer_loss", answer_loss)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `log p = logit − log Σ exp(logits)`. Which row of the logits belongs to token `t`?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def answer_loss(logits_TV, ids_T, loss_T):
#     """Mean of -log p over the tokens that carry loss."""
#     logp_TV = logits_TV - np.log(np.exp(logits_TV).sum(axis=-1, keepdims=True))
#     places = np.flatnonzero(loss_T)
#     return -logp_TV[places - 1, ids_T[places]].mean()
# ```
#
# Off by one is the commonest mistake here, and it does not crash: the loss of "predict the token you have just seen"
# falls beautifully.
#
# </details>

# %% [markdown]
# ## What a step costs
#
# By the usual estimate (the paper's appendix C.3) a trained token costs 6 FLOPs (arithmetic operations) for each
# parameter: 2 forward, 4 backward. Tokens of the prompt carry no loss, but they are read, so they count.

# %%
from labkit.compute import Meter

batch = encode(tokenizer, expert_dialogues("gp-l", recipe["batch_size"]))
tokens, size = sum(len(e.ids) for e in batch), Meter.of(base.model).parameters
by_hand = 6 * size * tokens
learnt = sum(int(e.loss.sum()) for e in batch)
print(f"6 × {size:,} parameters × {tokens:,} tokens = {by_hand / 1e9:.1f} GFLOP")
print(f"{learnt / tokens:.0%} of the tokens carry loss")

# %%
import time


def progress(words):
    """A line that is written over itself."""
    handle = display({"text/plain": words}, raw=True, display_id=True)
    return lambda words: handle.update({"text/plain": words}, raw=True)


say, began, joined = progress("waiting for the run"), time.time(), len(training.run.metrics())
for line in training.follow():
    done, here = line["step"], line["step"] - joined
    left = f", about {(time.time() - began) / here * (STEPS[-1] - done):.0f} s left" if here > 0 else ""
    say(f"step {done} of {STEPS[-1]}: loss {line['loss']:.3f}{left}")
run = training.wait()
assert run.metrics()[0]["flops"] == by_hand  # the library's meter after the first step

# %%
from labkit.views.widgets.dashboard import RunDashboard

RunDashboard(run, metrics=["nll", "grad_norm"]).static()

# %% [markdown]
# The loss of the *training* examples falls from the first step. Each batch is new, so until hands come again this is an
# honest measure; it says nothing about what the answers are worth. (`labkit runs show` prints these numbers;
# [docs/metrics.md](../docs/metrics.md) explains all.) Is this really the Init that comes with the lab? The same seed
# and the same recipe should give the same weights, up to rounding that differs between kinds of processor:

# %%
mine = load(str(run.checkpoint(recipe["steps"]))).bundle.model
gaps = [(a - b).abs().max() for a, b in zip(mine.parameters(), init.model.parameters(), strict=True)]
print(f"largest difference of any weight from tiny:gp-l/init: {max(gaps).item():.1e}")

# %% [markdown]
# ## Validity apart from correctness
#
# Now each checkpoint plays the same hands as the base did.

# %%
PARTS = {"the format: legal": "legal", "the rule: valid": "valid", "the answer: right": "right"}
predict(f"From the base to step {recipe['steps']}, what rises by most percentage points?", list(PARTS), "init.first")

# %%
say = progress("")
began = time.time()
for number, step in enumerate(STEPS):
    looks[str(step)] = look(run.checkpoint(step))
    left = (time.time() - began) / (number + 1) * (len(STEPS) - number - 1)
    say(f"{number + 1} of {len(STEPS)} checkpoints, about {left:.0f} s left")

# %%
import plotly.graph_objects as go

LOOKS = {
    "readable": ("#767676", "dot"), "legal": ("#009E73", "dash"), "valid": ("#56B4E9", "dashdot"),
    "right": ("#0072B2", "solid"), "rewards differ": ("#B8860B", "dash"), "right and wrong": ("#D55E00", "solid"),
}


def drawn(names, title):
    """Shares of each checkpoint with their 95% intervals."""
    figure = go.Figure(layout={
        "title": title, "template": "plotly_white", "height": 400,
        "xaxis": {"title": "steps of SFT", "type": "category"},
        "yaxis": {"tickformat": ".0%", "range": [0, 1.03], "title": "share"},
    })
    for name in names:
        found = [one[name] for one in looks.values()]
        spread = {"array": [f.ci95[1] - f.value for f in found], "arrayminus": [f.value - f.ci95[0] for f in found]}
        colour, dash = LOOKS[name]
        figure.add_scatter(x=list(looks), y=[f.value for f in found], name=name, error_y=spread | {"thickness": 1},
                           line={"color": colour, "dash": dash})
    return figure


drawn(FUNNEL, f"The funnel, {DEALS} hands × {SAMPLES} samples, 95% intervals")

# %%
trained = looks[str(recipe["steps"])]
gains = {words: trained[name].value - looks["0"][name].value for words, name in PARTS.items()}
for words, gain in gains.items():
    print(f"{words:20} {100 * gain:+5.1f} points")
reveal("init.first", max(gains, key=gains.get))

# %% [markdown]
# The three are different things to learn, and they come at different speeds. Format is a matter of a few tokens that
# are the same in every answer; a rule is read off the prompt and applied to each card; a right formula has to be found.
# "The model got better" says little before one has asked in which part of the funnel.
#
# ## Is there anything to reward?
#
# RL compares: it makes likelier what was better than the rest. If all answers to a hand earn the same, the hand cannot
# tell which to prefer (methods that compare within a group get no gradient from it at all: all **advantages** are 0,
# see [05](05_ppo_by_hand.ipynb)). So the learning signal of a checkpoint can be seen before any RL: the share of hands
# among whose samples
#
# * **rewards differ** at all: wrong answers differ too, −3 for the format, −2 for the rule, −1 for the value;
# * there is **right and wrong**: only these can teach to be right.
#
# And it needs chance. The **entropy** of an answer, here the mean of −log p of sampled answers, in nats, says how
# much is left to try: e to this power is roughly the number of answers that the model chooses among.

# %%
drawn(("rewards differ", "right and wrong", "right"), f"What RL could compare, {SAMPLES} samples a hand, 95% intervals")

# %%
for name, one in looks.items():
    value, n, (low, high) = one["entropy"]
    print(f"after {name:>2} steps  entropy {value:4.1f} nats an answer   95% [{low:4.1f}, {high:4.1f}]   n = {n} hands")

# %% [markdown]
# **Exercise 4.** A model is right with probability `p` in each of `n` independent samples. How likely is a group with a
# right *and* a wrong answer?

# %% tags=["exercise"]
def chance_of_both(p, n):
    """Probability that n samples hold a right and a wrong one."""
    raise NotImplementedError("your turn")


# %%
check("sft_init.chance_of_both", chance_of_both)

# %% [markdown]
# <details><summary>Hint</summary>
#
# When is a group *not* mixed?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def chance_of_both(p, n):
#     """Probability that n samples hold a right and a wrong one."""
#     return 1 - p**n - (1 - p) ** n
# ```
#
# For n = 2 this is 2p(1 − p), twice the variance of one verdict: the signal is largest at p = 1/2 and goes to 0 on both
# sides. Too little SFT leaves p near 0; too much brings it near 1 *on the hands that are trained on*, and nothing is
# left there to learn from.
#
# </details>

# %% [markdown]
# ## And further on
#
# The lab comes with checkpoints of SFT that went on from the Init for much longer
# (`configs/experiments/gp-l/sft.yaml`); `sft@N` is N steps after the Init, `sft` the end. What has become of the
# signal there, on the hands that were trained on?

# %%
WAYS = ["more", "no difference can be seen", "fewer"]
predict(f"At the end of long SFT, against step {STEPS[-1]}: hands with right and wrong answers", WAYS, key="init.long")

# %%
from labkit.players.registry import players

known = [one.spec for one in players(ROOT / "runs") if one.spec.startswith("tiny:gp-l/sft")]
known.sort(key=lambda spec: int(spec.partition("@")[2] or 10**9))  # without @, the last
long = known[-1:] if FAST else known[:: max(1, len(known) // 2)][:2] + known[-1:]
for spec in dict.fromkeys(long):
    looks[spec.rpartition("/")[2]] = look(spec)
drawn(("valid", "right", "right and wrong"), "From the base to long SFT, hands of the training split, 95% intervals")

# %%
if known:
    short, far = (one["right and wrong"] for one in (looks[str(STEPS[-1])], list(looks.values())[-1]))
    print(f"right and wrong: {short.value:.0%} [{short.ci95[0]:.0%}, {short.ci95[1]:.0%}] after {STEPS[-1]} steps, "
          f"{far.value:.0%} [{far.ci95[0]:.0%}, {far.ci95[1]:.0%}] at the end of SFT")
    apart = far.ci95[0] > short.ci95[1] or far.ci95[1] < short.ci95[0]
    reveal("init.long", WAYS[1] if not apart else WAYS[0] if far.value > short.value else WAYS[2])

# %%
line = np.linspace(0, 1, 101)
figure = go.Figure(layout={
    "title": f"The signal of a group of {SAMPLES} samples", "template": "plotly_white", "height": 380,
    "xaxis": {"title": "right answers", "tickformat": ".0%"},
    "yaxis": {"title": "hands with right and wrong", "tickformat": ".0%", "rangemode": "tozero"},
})
figure.add_scatter(x=line, y=1 - line**SAMPLES - (1 - line) ** SAMPLES, name="if all hands were alike",
                   line={"color": "#767676", "dash": "dash"})
figure.add_scatter(
    x=[one["right"].value for one in looks.values()], y=[one["right and wrong"].value for one in looks.values()],
    text=list(looks), mode="markers+text", textposition="bottom right", name="checkpoints", marker={"color": "#D55E00"},
)
figure

# %% [markdown]
# The curve is Exercise 4. Checkpoints lie below it, since hands are not alike: the same share of right answers can be
# some hands that are always right and others that never are, and neither kind teaches anything.
#
# ## Too long: what the loss on held-out hands says
#
# We measure the loss on the expert's answers to hands of the training split, to held-out hands (`dev`), and to
# held-out hands under the *changed* rule (J = 11, Q = 12, K = 13, as the prompt says) that no SFT has seen:

# %%
SETS = {"trained hands": ("id", "train"), "held-out hands": ("id", "dev"), "changed rule": ("rule-ood", "dev")}
COLOURS = {"trained hands": "#767676", "held-out hands": "#0072B2", "changed rule": "#D55E00"}
answers = {
    name: encode(tokenizer, expert_dialogues("gp-l", len(held_out), suite=suite, split=split, seed=1))
    for name, (suite, split) in SETS.items()
}
places = ["tiny:base", *(run.checkpoint(step) for step in STEPS), *dict.fromkeys(long)]
figure = go.Figure(layout={
    "title": f"Loss on the expert's answers, {len(held_out)} of each kind, 95% intervals", "template": "plotly_white",
    "height": 380, "xaxis": {"title": "steps of SFT", "type": "category"},
    "yaxis": {"title": "nats a token", "rangemode": "tozero"},
})
losses = {name: [] for name in SETS}
for place in places:
    loaded = load(str(place)).bundle
    for name, examples in answers.items():
        losses[name].append(mean([float(token_losses(loaded, e).mean()) for e in examples]))
for name, found in losses.items():
    bars = {"array": [f.ci95[1] - f.value for f in found], "thickness": 1}
    figure.add_scatter(x=list(looks), y=[f.value for f in found], name=name, error_y=bars, line_color=COLOURS[name])
figure

# %% [markdown]
# Where *trained* goes on falling and *held-out* turns up, the model is learning its hands by heart: it is
# **over-fitted**. Look whether the loss under the changed rule turns up earlier: then the trained rule is being
# learnt as if there were no other. After so long an Init, RL begins with a model that is sure on the hands that it
# will be dealt, and wrong elsewhere; the paper's Figure 19 finds that RL does not bring such a model back.
#
# So a rule of thumb for the length of an Init: *stop as soon as right answers come up in most groups*. What RL can find
# out by itself need not be imitated. (The lab's own Init went on until success on unseen hands no longer rose.)
#
# ## The other game
#
# The same questions for `virl-l`, the walk ([notebook 02](02_virl.ipynb)): routes in place of hands, and an answer is a
# step. A route ends at the first wrong one here, so rewards differ wherever samples get to different places. Its Init
# is even shorter, and starts from an earlier checkpoint of the base's pre-training (`tiny:base@STEP`).

# %%
def look_at_walk(name):
    player = load(name, temperature=1.0, max_new_tokens=96)
    few = 6 if FAST else 16
    result = evaluate(player, "virl-l", "id", split="train", episodes=few, attempts=1, samples=4)
    returns = {}
    for episode in result.episodes:
        returns.setdefault(episode.task.id, set()).add(episode.reward)
    read = [[a.verdict.category != "unreadable" for a in e.attempts] for e in result.episodes]
    ids = [e.task.id for e in result.episodes]
    right = Estimate(result.value, result.n, result.ci95)
    return {"readable": share([Trials(sum(r), len(r)) for r in read], deals=ids), "right": right,
            "rewards differ": share(Trials(len(r) > 1) for r in returns.values())}


walk_init = read(ROOT / "configs/experiments/virl-l/init.yaml")
print(f"the recipe of its Init: {walk_init['steps']} step(s) of {walk_init['batch_size']} examples")
for name in (walk_init["model"], "tiny:virl-l/init", "tiny:virl-l/sft"):
    print(name)
    found = look_at_walk(name)
    told(found, found)

# %% [markdown]
# ## RL without any SFT
#
# The paper's Figure 9 runs RL from the base model: at none of three learning rates does it learn, since hardly any
# answer can be read. Would it be so here? Compare the *base's* share of hands whose rewards differ with that after
# the Init; then see what stored runs of RL from the base did.

# %%
from labkit.replication import Archive
from labkit.replication.show import show_figure

for name in ("0", str(recipe["steps"])):
    print(f"after {name} steps of SFT")
    told(looks[name], ("rewards differ", "right and wrong"))
print()
_ = show_figure(ROOT / "configs/figures/09.yaml", Archive([ROOT / "results"]))

# %% [markdown]
# Where the base's rewards already differ, RL has something to go by without SFT, only less. Then a run from the base
# that rises does not contradict the paper: the paper's claim is about a model whose answers cannot be judged, and it
# is this condition, not the words "base model", that carries over. To get into the paper's situation here, take a
# prompt or a format that the base has never seen (`labkit eval gp-l --player tiny:base --prompts FILE`), and watch
# *readable*.
#
# ## What would change my mind
#
# * The signal of a group says whether RL *can* compare, not whether it will go anywhere: that takes training, and
#   [06](06_ppo_scaling.ipynb) does it.
# * One recipe, one seed, a model of under a million parameters. The number of steps does not carry over; the
#   measurements do.
# * The long SFT begins anew from the Init, with a fresh optimizer and other settings of Adam, so the two stretches of
#   an axis are not quite one curve. For one curve, train the Init's recipe on: `labkit train
#   configs/experiments/gp-l/init.yaml --set steps=500`.
# * All answers were sampled at temperature 1 on hands of the training split, as RL samples; *greedy* answers (always
#   the likeliest token) on held-out hands are another measurement (`labkit eval gp-l --player tiny:gp-l/init --split
#   dev`).
#
# **Next**
# * [05_ppo_by_hand](05_ppo_by_hand.ipynb) turns rewards that differ into a gradient;
#   [06_ppo_scaling](06_ppo_scaling.ipynb) goes on from this Init with RL, and with SFT.
# * Read: sections 5.4 and C of the paper, with Figures 9, 19 and 20; *DAPO* ([arXiv
#   2503.14476](https://arxiv.org/abs/2503.14476)), which throws away groups without right and wrong; *LIMA* ([arXiv
#   2305.11206](https://arxiv.org/abs/2305.11206)), on how little SFT a format takes; *Training language models to
#   follow instructions* ([arXiv 2203.02155](https://arxiv.org/abs/2203.02155)), where SFT before RL became the custom.

# %%
import platform
from importlib.metadata import version

print(f"{DEALS} hands × {SAMPLES} samples of suite id, split train, seed 0; run {run.id}, seed {run.config['seed']}")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
