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
# *format*, *rule* and *right answer* moves first, how much learning signal RL would have, and what more steps cost.
#
# *For* anyone who has seen [the tour](00_tour.ipynb) and knows what a gradient step is. *Time*: 45 minutes; all cells
# together run in a few minutes on two CPU cores, offline. *You will be able to*
#
# * say which tokens of a dialogue the loss of SFT sees, and compute it;
# * separate an answer's validity from its correctness, in the verdicts of a verifier;
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
STEPS = (10, 40) if FAST else (1, 4, 10, 20, 40, 80)  # of SFT, at which we measure
DEALS, SAMPLES = (10, 4) if FAST else (32, 8)  # hands, and sampled answers to each

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
# The first answer is that of `tiny:base`, which has never been set this task. It is a small **base model**: a network
# that was trained to predict the next token of a large mixture of texts. The second is that of `tiny:gp-l/init`, the
# same network after the few steps of SFT that this notebook repeats. (J, Q and K count as 10.) Open *Thought* in an
# answer: the model tries steps before it writes its formula, as its pre-training taught, and tries that missed are
# grey.
#
# One hand is an example, not a rate. So we **sample**: several answers to each of many hands, each token drawn from the
# model's distribution as it is (*temperature* 1). That is how RL will play.
#
# ## The base model under the task's own prompt
#
# The **verifier**, the program that judges answers, makes its checks in a fixed order, and an answer's **category** is
# the first check that fails. So the checks form a funnel: each part contains the next.
#
# | part | the answer ... | otherwise its category is |
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
predict("The base has never been set this task. How many answers are legal formulas in JSON?", SIZES, key="init.base")

# %%
from labkit.evaluation import Estimate, evaluate
from labkit.evaluation.metrics import Trials, mean, share

FUNNEL = ("readable", "legal", "valid", "right")


def measure(name):
    """Rates over sampled answers to hands of training: the funnel and the learning signal."""
    player = load(str(name), temperature=1.0)
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
def print_rates(rates, names):
    for name in names:
        value, n, (low, high) = rates[name]
        print(f"   {name:15} {value:6.1%}   95% [{low:5.1%}, {high:6.1%}]   n = {n}")


measured = {"0": measure("tiny:base")}
print_rates(measured["0"], FUNNEL)

# %%
legal = measured["0"]["legal"].value
reveal("init.base", SIZES[0] if legal < 1 / 3 else SIZES[1] if legal < 2 / 3 else SIZES[2])

# %% [markdown]
# *n* counts the answers, but the intervals are computed over hands, since samples of one hand are correlated. At which
# part of the funnel are most answers lost? If *readable* is near 1, this base model knows the format already: it has
# seen JSON answers in pre-training, under other prompts. The paper's base model wrote prose instead (its Figure 20).
# Keep that in mind for the last section, on RL without SFT.
#
# **Exercise 1.** Compute the funnel from the verdicts alone. You get a list of categories, one for each answer, out of
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
# An answer passes a part if its category comes later in the list than the category of failing that part.
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
# shows how well the model calculates where it keeps the rule, and *valid / legal* how often it keeps the rule.
#
# </details>

# %% [markdown]
# ## Train it, live
#
# `configs/experiments/gp-l/init.yaml` is the Init's recipe. We start it in a separate process and train it longer than
# the recipe does, with a checkpoint at each number of steps in `STEPS`. While it trains, read on.

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
# An example is a dialogue: the task's prompt, and the answer of an **expert**, a solver that knows all solutions. With
# `thought: true` the expert also tells a search before its formula: some tries that miss, then one that reaches 24. The
# network predicts every token from those before it; the **loss** is the cross-entropy, $-\log p$ of the actual token
# (in **nats**, since the logarithm is natural), *averaged over the tokens of the answer only*. The prompt is not to be
# imitated, so its tokens carry no loss: this is the **loss mask**. In a thought, the choice of a step that led to
# nothing carries none either.

# %%
import numpy as np
import torch

from labkit.models.chat import encode
from labkit.training.sft.data import expert_dialogues

base, init = load("tiny:base").bundle, load("tiny:gp-l/init").bundle
tokenizer = base.tokenizer
THINKS = {"thought": recipe["thought"]}  # the expert of the Init's recipe
held_out = encode(tokenizer, expert_dialogues("gp-l", 64, split="dev", seed=1, **THINKS))


@torch.no_grad()
def token_losses(bundle, example):
    """Cross-entropy of the tokens that carry loss, in nats, each given all tokens before it."""
    ids = torch.from_numpy(example.ids)
    logp_TV = bundle.model(ids[None]).logits[0].float().log_softmax(-1)
    loss_T = -logp_TV[:-1].gather(1, ids[1:, None])[:, 0]  # the token at t + 1 is predicted at t
    return loss_T.numpy()[example.loss[1:]]


example = next(e for e in held_out if '"K"' in tokenizer.decode(e.ids) and not e.loss[e.loss.argmax() :].all())
print(f"{len(example.ids)} tokens, of which {example.loss.sum()} carry loss")

# %%
from IPython.display import HTML

from labkit.views.markup import text


def painted(example, losses, label):
    """The tokens of the answer, shaded by their loss; grey where they carry none."""
    begin, spans, left = int(example.loss.argmax()), [], iter(losses)
    for i, learnt in zip(example.ids[begin:], example.loss[begin:], strict=True):
        if not learnt:
            spans.append(f'<span style="color: #767676">{text(tokenizer.decode([int(i)]))}</span>')
            continue
        loss = next(left)
        dark = min(1.0, loss / 2)
        style = f"background: rgba(213,94,0,{dark:.2f}); color: {'white' if dark > 0.7 else 'inherit'}; padding: 2px"
        number = f"<sub>{loss:.1f}</sub>" if loss > 0.3 else ""
        spans.append(f'<span style="{style}">{text(tokenizer.decode([int(i)]))}{number}</span>')
    total = f"{label}, mean {np.mean(losses):.3f} nats a token"
    return f'<p style="font-family: monospace; line-height: 2.1"><b>{total}</b><br>{" ".join(spans)}</p>'


prompt = tokenizer.decode(example.ids[: int(example.loss.argmax())])
grey = f'<p style="font-family: monospace; color: #767676"><b>no loss</b><br>{text(prompt)}</p>'
rows = {"base": base, f"after {recipe['steps']} steps": init}
lines = [painted(example, token_losses(m, example), name) for name, m in rows.items()]
HTML(grey + "".join(lines))

# %% [markdown]
# Dark tokens have a high loss; the small number is the loss in nats; grey tokens carry none. Brackets, quotation marks
# and keys are paler than what the model has to *decide*: the steps of the search. Which step is tried first is a free
# choice, so its loss stays above 0; what a step comes to is not. See which of the dark tokens became paler. The next
# cell does the same for many held-out examples, field by field:

# %%
def parts(example):
    """For each token of the answer, the field that it belongs to."""
    written, fields = "", []
    for i in example.ids[example.loss]:
        written += tokenizer.decode([int(i)])
        fields.append(next((f for f in ("formula", "thought", "number") if f'"{f}' in written), "cards"))
    return np.array(fields)


for part in ("cards", "number", "thought", "formula"):
    having = [e for e in held_out if (parts(e) == part).any()]  # a hand that needs fractions has no thought
    before, after = ([token_losses(m, e)[parts(e) == part].mean() for e in having] for m in (base, init))
    change = mean([float(a - b) for b, a in zip(before, after, strict=True)])
    low, high = change.ci95
    print(f"{part:8} {np.mean(before):.3f} → {np.mean(after):.3f} nats a token   change {change.value:+.3f} "
          f"95% [{low:+.3f}, {high:+.3f}]   n = {change.n} examples")

# %% [markdown]
# **Exercise 2.** Build the loss mask of a whole dialogue. You get its tokens as text: a turn is opened by `<|user|>` or
# `<|assistant|>` and closed by `<|end|>`; return a list of `True` where the token carries loss. (All turns of the
# assistant carry loss, and the model has to learn where to stop.)

# %% tags=["exercise"]
def loss_mask(tokens):
    """True for the tokens that carry loss."""
    raise NotImplementedError("your turn")


# %%
check("sft_init.loss_mask", loss_mask)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which token separates the model's words from the user's? Who writes *it*?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def loss_mask(tokens):
#     """True for the tokens that carry loss."""
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
# `<|assistant|>` is part of the prompt, so it carries no loss. The model itself writes `<|end|>`; without loss on it,
# the model never learns to stop.
#
# </details>

# %% [markdown]
# **Exercise 3.** Now the loss itself. `logits_TV[t]` are the logits for the token *after* position `t`, over the
# vocabulary; `ids_T` are the tokens, `loss_T` is the mask (NumPy arrays). Return the mean cross-entropy, in nats. The
# check compares it with the trainer's.

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
# An off-by-one error is the commonest mistake here. It does not crash: the loss of predicting the token just read
# becomes very small.
#
# </details>

# %% [markdown]
# ## What a step costs
#
# By the usual estimate (the paper's appendix C.3) a trained token costs 6 FLOPs (arithmetic operations) for each
# parameter: 2 forward, 4 backward. Tokens of the prompt carry no loss, but they are read, so they count.

# %%
from labkit.compute import Meter

batch = encode(tokenizer, expert_dialogues("gp-l", recipe["batch_size"], **THINKS))
tokens, size = sum(len(e.ids) for e in batch), Meter.of(base.model).parameters
by_hand = 6 * size * tokens
learnt = sum(int(e.loss.sum()) for e in batch)
print(f"6 × {size:,} parameters × {tokens:,} tokens = {by_hand / 1e9:.1f} GFLOP")
print(f"{learnt / tokens:.0%} of the tokens carry loss")

# %%
import time


def progress(words):
    """A status line, and a function that replaces its text."""
    handle = display({"text/plain": words}, raw=True, display_id=True)
    return lambda words: handle.update({"text/plain": words}, raw=True)


say, began, joined = progress("waiting for the run"), time.time(), len(training.run.metrics())
for line in training.follow():
    done, new = line["step"], line["step"] - joined
    left = f", about {(time.time() - began) / new * (STEPS[-1] - done):.0f} s left" if new > 0 else ""
    say(f"step {done} of {STEPS[-1]}: loss {line['loss']:.3f}{left}")
run = training.wait()
assert run.metrics()[0]["flops"] == by_hand  # the library's meter after the first step

# %%
from labkit.views.widgets.dashboard import RunDashboard

RunDashboard(run, metrics=["nll", "grad_norm"]).static()

# %% [markdown]
# The loss of the *training* examples falls from the first step. Until hands repeat, each batch is new, so this loss is
# unbiased. It does not show whether sampled answers are right. (`labkit runs show` prints these numbers;
# [docs/metrics.md](../docs/metrics.md) explains them.) Is this really the Init that comes with the lab? The same seed
# and the same recipe should give the same weights, up to rounding: the bundled weights, the base's too, are kept in
# half precision.

# %%
repeated = load(str(run.checkpoint(recipe["steps"]))).bundle.model
gaps = [(a - b).abs().max() for a, b in zip(repeated.parameters(), init.model.parameters(), strict=True)]
print(f"largest difference of any weight from tiny:gp-l/init: {max(gaps).item():.1e}")

# %% [markdown]
# ## Validity apart from correctness
#
# Now each checkpoint plays the hands that the base played.

# %%
PARTS = {"the format: legal": "legal", "the rule: valid": "valid", "the answer: right": "right"}
predict(f"From the base to step {recipe['steps']}, what rises by most percentage points?", list(PARTS), "init.first")

# %%
say = progress("")
began = time.time()
for number, step in enumerate(STEPS):
    measured[str(step)] = measure(run.checkpoint(step))
    left = (time.time() - began) / (number + 1) * (len(STEPS) - number - 1)
    say(f"{number + 1} of {len(STEPS)} checkpoints, about {left:.0f} s left")

# %%
import plotly.graph_objects as go

STYLES = {
    "readable": ("#767676", "dot"), "legal": ("#009E73", "dash"), "valid": ("#56B4E9", "dashdot"),
    "right": ("#0072B2", "solid"), "rewards differ": ("#B8860B", "dash"), "right and wrong": ("#D55E00", "solid"),
}


def plot(names, title):
    """Rates of each checkpoint with their 95% intervals."""
    figure = go.Figure(layout={
        "title": title, "template": "plotly_white", "height": 400,
        "xaxis": {"title": "steps of SFT", "type": "category"},
        "yaxis": {"tickformat": ".0%", "range": [0, 1.03], "title": "share"},
    })
    for name in names:
        rates = [one[name] for one in measured.values()]
        spread = {"array": [r.ci95[1] - r.value for r in rates], "arrayminus": [r.value - r.ci95[0] for r in rates]}
        colour, dash = STYLES[name]
        figure.add_scatter(x=list(measured), y=[r.value for r in rates], name=name, error_y=spread | {"thickness": 1},
                           line={"color": colour, "dash": dash})
    return figure


plot(FUNNEL, f"The funnel, {DEALS} hands × {SAMPLES} samples, 95% intervals")

# %%
trained = measured[str(recipe["steps"])]
gains = {words: trained[name].value - measured["0"][name].value for words, name in PARTS.items()}
for words, gain in gains.items():
    print(f"{words:20} {100 * gain:+5.1f} points")
reveal("init.first", max(gains, key=gains.get))

# %% [markdown]
# The three are learnt at different speeds. The format is a few tokens that are the same in every answer. The rule has
# to be read in the prompt and applied to each card. A right formula has to be found. "The model got better" means
# little until the part of the funnel is named.
#
# ## Is there anything to reward?
#
# RL compares answers and makes the better ones likelier. If all answers to a hand earn the same, none is better
# (methods that compare within a group get no gradient from it: all **advantages** are 0, see
# [05](05_ppo_by_hand.ipynb)). So the learning signal of a checkpoint can be measured before any RL, as the share of
# hands where
#
# * **rewards differ**: wrong answers earn different rewards too, −3 for the format, −2 for the rule, −1 for the value;
# * answers are **right and wrong**: only these hands can teach right answers.
#
# RL also needs variety. The **entropy** of an answer, here the mean of −log p over sampled answers, in nats, measures
# it: e to this power is roughly the number of answers that the model chooses from.

# %%
plot(("rewards differ", "right and wrong", "right"), f"What RL could compare, {SAMPLES} samples a hand, 95% intervals")

# %%
for name, one in measured.items():
    value, n, (low, high) = one["entropy"]
    print(f"after {name:>2} steps  entropy {value:4.1f} nats an answer   95% [{low:4.1f}, {high:4.1f}]   n = {n} hands")

# %% [markdown]
# **Exercise 4.** A model is right with probability `p` in each of `n` independent samples. How likely is it that the
# group contains a right *and* a wrong answer?

# %% tags=["exercise"]
def chance_of_both(p, n):
    """Probability that n samples contain a right and a wrong one."""
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
#     """Probability that n samples contain a right and a wrong one."""
#     return 1 - p**n - (1 - p) ** n
# ```
#
# For n = 2 this is 2p(1 − p), twice the variance of one verdict: the signal is largest at p = 1/2 and goes to 0 on both
# sides. Too little SFT leaves p near 0; too much brings it near 1 *on training hands*, and no signal is left there.
#
# </details>

# %% [markdown]
# ## Longer SFT
#
# The lab has two players that were trained much longer, from the Init: one on the expert's **thoughts**, as here, and
# one on **bare answers** without thoughts, as the paper's are (`configs/experiments/gp-l/sft.yaml`). How large is the
# signal in the second, on training hands?

# %%
WAYS = ["more", "no difference can be seen", "fewer"]
predict(f"After long SFT on bare answers, against step {STEPS[-1]}: groups with both kinds", WAYS, key="init.long")

# %%
LONG = {"thoughts": "tiny:gp-l/sft-thoughts", "bare": "tiny:gp-l/sft"}
for name, spec in LONG.items():
    measured[name] = measure(spec)
plot(("valid", "right", "right and wrong"), "From the base to long SFT, hands of the training split, 95% intervals")

# %%
short, far = (measured[name]["right and wrong"] for name in (str(STEPS[-1]), "bare"))
print(f"right and wrong: {short.value:.0%} [{short.ci95[0]:.0%}, {short.ci95[1]:.0%}] after {STEPS[-1]} steps, "
      f"{far.value:.0%} [{far.ci95[0]:.0%}, {far.ci95[1]:.0%}] after SFT on bare answers")
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
    x=[one["right"].value for one in measured.values()],
    y=[one["right and wrong"].value for one in measured.values()],
    text=list(measured), mode="markers+text", textposition="bottom right", name="checkpoints",
    marker={"color": "#D55E00"},
)
figure

# %% [markdown]
# The dashed curve is the formula of Exercise 4. Checkpoints lie below it, since hands differ: the same share of right
# answers can come from some hands that are always right and others that never are, and neither kind gives a signal.
#
# ## An Init that is too long: the loss on held-out hands
#
# We measure the loss on the expert's answers, with thoughts, to hands of the training split, to held-out hands (`dev`),
# and to held-out hands under the *changed* rule (J = 11, Q = 12, K = 13, as the prompt says) that no SFT has seen. The
# player that was trained on bare answers writes no thoughts, so this loss would say nothing about it.

# %%
SETS = {"trained hands": ("id", "train"), "held-out hands": ("id", "dev"), "changed rule": ("rule-ood", "dev")}
COLOURS = {"trained hands": "#767676", "held-out hands": "#0072B2", "changed rule": "#D55E00"}
answers = {
    name: encode(tokenizer, expert_dialogues("gp-l", len(held_out), suite=suite, split=split, seed=1, **THINKS))
    for name, (suite, split) in SETS.items()
}
specs = {"0": "tiny:base", **{str(step): run.checkpoint(step) for step in STEPS}, "thoughts": LONG["thoughts"]}
figure = go.Figure(layout={
    "title": f"Loss on the expert's answers, {len(held_out)} of each kind, 95% intervals", "template": "plotly_white",
    "height": 380, "xaxis": {"title": "steps of SFT", "type": "category"},
    "yaxis": {"title": "nats a token", "rangemode": "tozero"},
})
losses = {name: [] for name in SETS}
for spec in specs.values():
    bundle = load(str(spec)).bundle
    for name, examples in answers.items():
        losses[name].append(mean([float(token_losses(bundle, e).mean()) for e in examples]))
for name, curve in losses.items():
    bars = {"array": [p.ci95[1] - p.value for p in curve], "thickness": 1}
    figure.add_scatter(x=list(specs), y=[p.value for p in curve], name=name, error_y=bars, line_color=COLOURS[name])
figure

# %% [markdown]
# Where the loss on *trained hands* keeps falling and the loss on *held-out hands* rises, the model memorises its hands:
# it is **over-fitted**. See whether the loss under the changed rule rises earlier: then the model learns the trained
# rule as if it were the only one. After such a long Init, RL starts from a model that is certain on its training hands
# and wrong elsewhere; in the paper's Figure 19, RL does not repair such a model.
#
# So a rule of thumb for the length of an Init: *stop as soon as most groups contain a right answer*. RL can learn the
# rest by itself.
#
# ## The other game
#
# The same questions for V-IRL in text (`virl-l`, [notebook 02](02_virl.ipynb)): it has routes in place of hands, and an
# answer is a step. With one attempt a route ends at the first wrong step, so rewards differ where samples end at
# different steps. Its Init is even shorter.

# %%
def measure_virl(name):
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


virl_init = read(ROOT / "configs/experiments/virl-l/init.yaml")
print(f"the recipe of its Init: {virl_init['steps']} step(s) of {virl_init['batch_size']} examples")
for name in (virl_init["model"], "tiny:virl-l/init", "tiny:virl-l/sft"):
    print(name)
    rates = measure_virl(name)
    print_rates(rates, rates)

# %% [markdown]
# ## RL without any SFT
#
# The paper's Figure 9 runs RL from the base model: it learns at none of three learning rates, since hardly any answer
# is readable. Is it so here? Compare the *base's* share of hands whose rewards differ with the share after the Init,
# and then look at the stored runs of RL from a base. They are of the lab's first one, `tiny:recall/base`, which recalls
# formulas instead of searching for them.

# %%
from labkit.replication import Archive
from labkit.replication.show import show_figure

for name in ("0", str(recipe["steps"])):
    print(f"after {name} steps of SFT")
    print_rates(measured[name], ("rewards differ", "right and wrong"))
print()
_ = show_figure(ROOT / "configs/figures/09.yaml", Archive([ROOT / "results"]))

# %% [markdown]
# Where the base's rewards already differ, RL has a learning signal without SFT, only a smaller one. Then a run from the
# base that rises does not contradict the paper: its claim is about a model whose answers are unreadable, and that
# condition carries over, not the words "base model". To reproduce the paper's situation, use a prompt or a format that
# the base has never seen (`labkit eval gp-l --player tiny:base --prompts FILE`), and watch *readable*.
#
# ## What would change my mind
#
# * The signal shows whether RL *can* learn, not whether it will: that takes training, as in [06](06_ppo_scaling.ipynb).
# * One recipe, one seed, a model of about a million parameters. The number of steps does not carry over; the
#   measurements do.
# * The long SFT starts from the Init with a new optimizer and other settings of Adam, and one of the two has other
#   answers, so an axis is not one curve. For one curve, train longer with the Init's recipe: `labkit train
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
