# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Scaling verification: more attempts, at test time and in training
#
# **By the end you will have shown** how much the second, the fifth and the tenth attempt add for a trained player,
# whether the same compute is better spent on fresh samples, and what is known about training with 1, 3, 5 or 10
# attempts.
#
# *For* those who have done [notebook 03](03_sequential_revision.ipynb): **sequential revision**, where a player
# answers, gets feedback and answers again, and **pass@k**, the probability that at least one of *k* independent samples
# is right. *Time*: 45 minutes; all cells together run in some ten minutes on two CPU cores, offline. *You will be able
# to*
#
# * read a curve of success within *k* attempts, and separate the effects of hands and dialogue;
# * count the **FLOPs** (arithmetic operations) of a dialogue, with and without a KV cache;
# * compare two ways of using a **verifier** (the program that judges answers) at equal answers *and* at equal FLOPs;
# * separate the effect of attempts at **test time** from their effect in **training**.
#
# *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161), section 5.5 and figure 10) says
# that scaling up verification is what lets RL generalise. There, the number of attempts changes *in training*. We
# begin with the question that needs no training.

# %% tags=["setup"]
import os
from itertools import accumulate

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from labkit.evaluation import evaluate
from labkit.exercises import check
from labkit.players.registry import load
from labkit.views.palette import color_of, rgba
from labkit.views.widgets.predict import predict, reveal

SETTING = "class"  # "full": more hands and samples, and fresh samples of all three players; an hour
FAST, FULL = os.environ.get("LABKIT_FAST") == "1", SETTING == "full"
ATTEMPTS, RULES = 10, ("id", "rule-ood")
PLAYERS = ("tiny:gp-l/init", "tiny:gp-l/sft", "tiny:gp-l/rl")
TEMPERATURE = 0.6
HANDS = 6 if FAST else 200 if FULL else 40
SAMPLES = 10 if FAST else 40 if FULL else 20

# %% [markdown]
# ## Part 1: attempts at test time
#
# There are three players: **Init**, a tiny model after a [short supervised fine-tuning](04_sft_init.ipynb), and the
# same model after more fine-tuning (**SFT**) or reinforcement learning (**RL**, by [PPO](05_ppo_by_hand.ipynb)). They
# play the same held-out `dev` hands, under the trained rule (`id`: J, Q and K count as 10) and the changed one
# (`rule-ood`: 11, 12 and 13). They **sample** (temperature 0.6): a player that searches needs variety, and at
# temperature 0 it would make the tries that missed again. An attempt does not depend on how many may follow, so one
# evaluation with ten attempts contains all smaller numbers.

# %%
SHARES = ["less than half", "half to nine tenths", "more than nine tenths"]
predict("RL's player, changed rule: how much of its success within 10 attempts is there after two?", SHARES, key="two")

# %%
import time

from IPython.display import clear_output


def play(asked, **settings):
    """Evaluations by (player, rule), with the time left; all of them deal the same hands."""
    began, shown, results = time.time(), 0.0, {}

    def progress(done, total, _):  # at most every two seconds
        nonlocal shown
        share, gone = (len(results) + done / total) / len(asked), time.time() - began
        if gone > shown + 2:
            shown = gone
            clear_output(wait=True)
            print(f"{spec} on {rule}: {done} of {total}; about {gone / share * (1 - share):.0f} s left for this cell")

    for spec, rule in asked:
        player = load(spec, temperature=TEMPERATURE)
        results[spec, rule] = evaluate(
            player, "gp-l", rule, split="dev", episodes=HANDS, batch=64, progress=progress, **settings
        )
    clear_output()
    return results


talked = play([(spec, rule) for spec in PLAYERS for rule in RULES], attempts=ATTEMPTS)


# %%
def panels(title, y="success", x="attempts"):
    """An empty figure with a panel for each rule, on one scale."""
    figure = make_subplots(1, 2, subplot_titles=["trained rule", "changed rule"], shared_yaxes=True,
                           horizontal_spacing=0.04)  # fmt: skip
    figure.update_layout(title=title, template="plotly_white", height=430, legend={"orientation": "h", "y": -0.18})
    figure.update_xaxes(title_text=x).update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure.update_yaxes(title_text=y, col=1)


def curve(figure, rule, xs, estimates, name, color, dash="solid"):
    """A line with a band: the 95% interval of each point."""
    col, value = RULES.index(rule) + 1, [e.value for e in estimates]
    edge = [e.ci95[1] for e in estimates] + [e.ci95[0] for e in estimates][::-1]
    group = {"name": name, "legendgroup": name, "showlegend": False}
    band = {"fill": "toself", "fillcolor": rgba(color, 0.13), "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=[*xs, *xs[::-1]], y=edge, mode="lines", **band, **group, row=1, col=col)
    line = group | {"line": {"color": color, "dash": dash}, "showlegend": col == 1, "mode": "lines+markers"}
    figure.add_scatter(x=[*xs], y=value, **line, row=1, col=col)


KS = range(1, ATTEMPTS + 1)
figure = panels(f"Success within k attempts, {HANDS} hands, 95% intervals")
for (spec, rule), result in talked.items():
    curve(figure, rule, KS, [*result.details["within"].values()], spec, color_of(spec))
figure

# %%
within = {key: [e.value for e in r.details["within"].values()] for key, r in talked.items()}
two = within["tiny:gp-l/rl", "rule-ood"][1] / (within["tiny:gp-l/rl", "rule-ood"][-1] or 1)
print(f"within 2, as a share of within {ATTEMPTS}: {two:.0%}")
reveal("two", SHARES[(two >= 0.5) + (two > 0.9)])

# %% [markdown]
# Success within *k* never falls with *k*, so a rise alone shows little. Ask how fast it rises, and for which player. RL
# trained with up to five attempts, SFT on single answers. Beyond five, dialogues are longer than any in their training;
# and an answer that no longer fits into the model's context of 2,048 tokens is empty.
#
# Move the slider to a number of attempts, and read the sentences: how much does the last attempt add?

# %%
import ipywidgets as widgets

from labkit.evaluation.metrics import Trials, share
from labkit.views.widgets.live import figure_data, live_figure, show


def gain(result, k):
    """What the k-th attempt adds to success: the share of hands that it solved."""
    return share(Trials(e.success and len(e.attempts) == k) for e in result.episodes)


def bars(k):
    """Success within k attempts, player by player."""
    figure = panels(f"Success within {k} attempt{'s' * (k > 1)}, 95% intervals", x="")
    for (spec, rule), result in talked.items():
        rate = result.details["within"][str(k)]
        error = {"array": [rate.ci95[1] - rate.value], "arrayminus": [rate.value - rate.ci95[0]]}
        figure.add_bar(x=[spec.rpartition("/")[2]], y=[rate.value], error_y=error, marker_color=color_of(spec),
                       showlegend=False, row=1, col=RULES.index(rule) + 1)  # fmt: skip
    return figure.update_yaxes(range=[0, max(map(max, within.values())) + 0.12])


def words(k):
    """The gain of the k-th attempt in words, with its 95% interval."""
    rows = []
    for (spec, rule), result in talked.items():
        added = gain(result, k)
        low, high = (100 * bound for bound in added.ci95)
        rows.append(f"{spec} on {rule}: attempt {k} adds {100 * added.value:.1f} points [{low:.1f}, {high:.1f}]")
    return "<br>".join(rows)


# %%
attempts = widgets.IntSlider(2, 1, ATTEMPTS, description="attempts", continuous_update=False)
plot, sentences = live_figure("the slider"), widgets.HTML(words(2))
plot.figure = figure_data(bars(2))


def moved(change):
    plot.figure, sentences.value = figure_data(bars(change["new"])), words(change["new"])


attempts.observe(moved, names="value")
show(widgets.VBox([attempts, plot, sentences]), {
    "application/vnd.plotly.v1+json": figure_data(bars(2)), "text/plain": "a slider: success within 1 to 10 attempts",
})  # fmt: skip

# %% [markdown]
# ## Why the curve bends
#
# A curve can flatten for two reasons. The *dialogue* may get stuck. Or the *hands* that are still open at the tenth
# attempt are the hard ones. To tell the two apart, look at the **chance of the n-th attempt among the hands that are
# still open**, and compare it with independent attempts.
#
# **Exercise 1.** A record has, for each hand, its verdicts up to the first success: `[False, False, True]`. For each
# *n* up to *k*: of the hands that had an *n*-th attempt, what share did it solve? Give 0 where no hand had one.

# %% tags=["exercise"]
def chance_of_attempt(hands, k):
    """A list of k shares; hands is a list of lists such as [False, False, True]."""
    raise NotImplementedError("your turn")


# %%
check("revision_scaling.chance_of_attempt", chance_of_attempt)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A hand had an n-th attempt if its list has at least n entries.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def chance_of_attempt(hands, k):
#     """A list of k shares; hands is a list of lists such as [False, False, True]."""
#     had = [[tries[n] for tries in hands if len(tries) > n] for n in range(k)]
#     return [sum(tries) / len(tries) if tries else 0.0 for tries in had]
# ```
#
# Statisticians call it the *hazard*. Success within k is 1 minus the product of (1 − chance) over the attempts.
#
# </details>

# %% [markdown]
# Beside the dialogues we need **fresh samples**: independent answers to the first prompt, without feedback, at the same
# temperature. The first attempt of a dialogue is the first of the samples, token for token.

# %%
VERDICTS = ["the dialogue solves more", "no difference can be seen", "fresh samples solve more"]
predict("RL's player, changed rule: ten attempts in a dialogue, or ten fresh samples?", VERDICTS, key="fresh")

# %%
COMPARED = PLAYERS if FULL else PLAYERS[-1:]
asked = [(spec, rule) for spec in COMPARED for rule in RULES]
fresh = play(asked, attempts=1, samples=SAMPLES)


# %%
def by_hand(result):
    """The attempts of each hand: of its dialogue, or of its samples in the order that they were drawn."""
    hands = {}
    for episode in result.episodes:
        hands.setdefault(episode.task.id, []).extend(episode.attempts)
    return list(hands.values())


def right_of(result):
    """How many samples of each hand are right."""
    return np.array([sum(a.verdict.success for a in tries) for tries in by_hand(result)])


figure = panels(f"Success within k answers, {HANDS} hands, 95% intervals", x="answers")
DASH = dict(zip(PLAYERS, ("dash", "dashdot", "solid"), strict=True))
for key in asked:
    name, rule = key[0].rpartition("/")[2], key[1]
    passed = [*fresh[key].details["pass_at"].values()][:ATTEMPTS]
    curve(figure, rule, KS, [*talked[key].details["within"].values()], f"{name}: dialogue", "#000000", DASH[key[0]])
    curve(figure, rule, KS, passed, f"{name}: fresh samples (pass@k)", "#009E73", DASH[key[0]])
    common = 1 - (1 - right_of(fresh[key]).mean() / SAMPLES) ** np.array(KS)
    figure.add_scatter(x=[*KS], y=common, name=f"{name}: if all hands were alike", legendgroup=f"{name} alike",
                       line={"color": "#767676", "dash": "dot"}, showlegend=rule == "id", mode="lines",
                       row=1, col=RULES.index(rule) + 1)  # fmt: skip
figure

# %% [markdown]
# Three curves, two gaps.
#
# * From the dotted line to the fresh samples: the *hands*. With one chance *p* for every hand, *k* independent tries
#   solve $1-(1-p)^k$. Hands differ, so the real curve lies below it.
# * From the fresh samples to the dialogue: the *dialogue*. Where the dialogue's curve lies above, feedback and earlier
#   answers help; where it lies below, they hurt: the player repeats itself, or has not been trained on such long
#   contexts.
#
# **Exercise 2.** `p` holds the chance of each hand. What share of the hands do *k* independent tries solve?

# %% tags=["exercise"]
def expected_within(p, k):
    """Expected share of hands that are solved by k independent tries; p is a list of chances."""
    raise NotImplementedError("your turn")


# %%
check("revision_scaling.expected_within", expected_within)

# %% [markdown]
# <details><summary>Hint</summary>
#
# First for each hand, then the mean. The other order gives another number.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
#
# def expected_within(p, k):
#     """Expected share of hands that are solved by k independent tries; p is a list of chances."""
#     return float(np.mean(1 - (1 - np.asarray(p)) ** k))
# ```
#
# $1-(1-p)^k$ bends downwards in *p*, so its mean over hands is less than its value at the mean (Jensen's
# inequality). Do not put in measured shares c/n for *p*, though: for large *k* that comes out too low. *pass@k* is the
# estimator without that error, and it is what the figure shows.
#
# </details>

# %%
for key in asked:
    print(*key)
    passed = [0.0, *(e.value for e in fresh[key].details["pass_at"].values())]
    alone = [(passed[k] - passed[k - 1]) / (1 - passed[k - 1]) if passed[k - 1] < 1 else 0.0 for k in KS]
    for n, independent in zip(KS, alone, strict=True):
        had = [e for e in talked[key].episodes if len(e.attempts) >= n]
        if had:
            chance = share(Trials(e.success and len(e.attempts) == n) for e in had)
            solved = f"{chance.value:6.1%} [{chance.ci95[0]:5.1%}, {chance.ci95[1]:5.1%}]"
            print(f"  attempt {n:2}: {len(had):3} hands open, solves {solved:22} alone {independent:6.1%}")

# %% [markdown]
# *Alone* is the same chance for fresh samples. It falls too, but only because the easy hands are solved first. Where
# the dialogue's chance is clearly above it, the earlier attempts help; where it is clearly below, they hurt. (The hands
# still open are not quite the same in both: after more early successes the harder ones are left.)
#
# ## It repeats itself
#
# The record tags an answer that repeats an earlier formula, up to order and brackets, with `repeat_of_previous_turn`.
# Such an attempt cannot succeed, since the earlier answer was wrong.

# %%
def repeats(result, n):
    """Of the hands that had an n-th attempt: in which share it repeats an earlier one."""
    tried = [e.attempts[n - 1] for e in result.episodes if len(e.attempts) >= n]
    return share(Trials("repeat_of_previous_turn" in a.tags) for a in tried)


figure = panels("Attempts that repeat an earlier formula, 95% intervals", y="of the n-th attempts", x="n-th attempt")
for (spec, rule), result in talked.items():
    rates = {n: repeats(result, n) for n in KS[1:]}
    rates = {n: rate for n, rate in rates.items() if rate.value is not None}
    curve(figure, rule, [*rates], [*rates.values()], spec.rpartition("/")[2], color_of(spec))
figure

# %%
from labkit.envs.general_points.verifier import read


def again(tries):
    """Of a hand's wrong answers after the first, up to its first success: how many repeat an earlier formula."""
    first = next((n for n, a in enumerate(tries) if a.verdict.success), len(tries))
    wrong = [read(a.answer).canonical or a.answer for a in tries[: min(first, ATTEMPTS)]]
    return Trials(sum(f in wrong[:n] for n, f in enumerate(wrong) if n), max(0, len(wrong) - 1))


for name, results in (("dialogue", talked), ("fresh samples", fresh)):
    for key, result in results.items():
        rate = share(map(again, by_hand(result)))
        low, high = rate.ci95
        print(f"{name:16} {' '.join(key):23} {rate.value:6.1%}  [{low:5.1%}, {high:5.1%}]  of {rate.n} wrong answers")

# %% [markdown]
# *Fresh samples* (the first ten) show how often the same wrong formula comes twice by chance. A dialogue with fewer
# repeats uses what has been ruled out. If it still solves no more hands, it makes new mistakes in place of old ones.
#
# ## What it costs
#
# Equal numbers of answers are not equal cost. A model with *N* parameters spends about 2*N* FLOPs on each token that it
# reads or writes (appendix C.3 of the paper, [the library's meter](../labkit/compute.py); attention over what was read
# comes on top). The verifier's own work is negligible: verification costs the tokens that the *model* reads and writes
# because of it.
#
# How many tokens is that? If the **keys and values** of earlier tokens are **kept** (a *KV cache*), each token of a
# dialogue is processed once. If not (a server without memory between requests), every attempt reads the whole dialogue
# anew.
#
# **Exercise 3.** The prompt has `prompt` tokens; `answers` and `feedback` list the tokens of each answer and each
# feedback, in turn (there is one feedback fewer). How many FLOPs does the dialogue cost, kept or not?

# %% tags=["exercise"]
def flops(parameters, prompt, answers, feedback, kept):
    """FLOPs of a dialogue; answers and feedback are lists of token counts."""
    raise NotImplementedError("your turn")


# %%
check("revision_scaling.flops", flops)

# %% [markdown]
# <details><summary>Hint</summary>
#
# How long is the dialogue when the n-th answer has been written? Kept, only the last of these lengths counts.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def flops(parameters, prompt, answers, feedback, kept):
#     """FLOPs of a dialogue; answers and feedback are lists of token counts."""
#     length, lengths = prompt, []
#     for answer, reply in zip(answers, [0, *feedback], strict=True):
#         length += reply + answer
#         lengths.append(length)
#     return 2 * parameters * (lengths[-1] if kept else sum(lengths))
# ```
#
# Kept, the cost of k attempts grows like k; not kept, like k². (Within an answer keys and values are always kept here:
# otherwise every *token* would read all before it.)
#
# </details>

# %% [markdown]
# Fresh samples stop at the first success as well, since the verifier judges each. So their cost depends on how many are
# drawn. As with pass@k, we average over all orders of the *n* samples.
#
# **Exercise 4.** Of *n* samples *c* are right. They are judged in random order until one is right, or *k* have been
# judged. How many are judged on average?

# %% tags=["exercise"]
def answers_drawn(n, c, k):
    """Expected number of samples that are judged, k at most."""
    raise NotImplementedError("your turn")


# %%
check("revision_scaling.answers_drawn", answers_drawn)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The j-th is judged if the j − 1 before it are all wrong. The expectation is the sum of these probabilities.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from math import comb
#
#
# def answers_drawn(n, c, k):
#     """Expected number of samples that are judged, k at most."""
#     return sum(comb(n - c, j) / comb(n, j) for j in range(k))
# ```
#
# Each term is 1 − pass@j: the two curves, of success and of cost, come from the same numbers.
#
# </details>

# %%
from math import comb

from labkit.compute import Meter

PARAMETERS = Meter.of(load(PLAYERS[-1]).bundle.model).parameters


def of_dialogues(result, kept):
    """Success and FLOPs within k attempts, hand by hand: two arrays [hands, ATTEMPTS]."""
    won, cost = [], []
    for tries in by_hand(result):
        lengths = [a.sample.prompt_tokens + a.sample.tokens for a in tries]
        spent = lengths if kept else list(accumulate(lengths))
        cost.append(spent + spent[-1:] * (ATTEMPTS - len(spent)))
        won.append(list(accumulate([a.verdict.success for a in tries] + [False] * (ATTEMPTS - len(tries)), max)))
    return np.array(won, float), np.array([[Meter(PARAMETERS, sampled_tokens=t).flops for t in row] for row in cost])


def of_samples(result, kept):
    """The same for fresh samples, as the mean over all orders of them: two arrays [hands, SAMPLES]."""
    hands, ks, n = by_hand(result), range(1, SAMPLES + 1), SAMPLES
    right = right_of(result)
    won = np.array([[1 - comb(n - c, k) / comb(n, k) for k in ks] for c in right])
    drawn = np.array([[sum(comb(n - c, j) / comb(n, j) for j in range(k)) for k in ks] for c in right])
    prompt = np.array([[tries[0].sample.prompt_tokens] for tries in hands])
    written = np.array([[np.mean([a.sample.tokens for a in tries])] for tries in hands])
    tokens = (prompt if kept else prompt * drawn) + written * drawn
    return won, Meter(PARAMETERS, sampled_tokens=tokens).flops


# %%
figure = panels(f"Success over FLOPs a hand, {HANDS} hands", x="GFLOP a hand, up to k answers")
for key in asked:
    for kept, dash in ((True, "solid"), (False, "dot")):
        for what, color, (won, cost) in (
            ("dialogue", "#000000", of_dialogues(talked[key], kept)),
            ("fresh samples", "#009E73", of_samples(fresh[key], kept)),
        ):
            name = f"{key[0].rpartition('/')[2]}: {what}, {'kept' if kept else 'read anew'}"
            ks = [*range(1, won.shape[1] + 1)]
            figure.add_scatter(x=cost.mean(0) / 1e9, y=won.mean(0), name=name, legendgroup=name, text=ks,
                               line={"color": color, "dash": dash}, mode="lines+markers", showlegend=key[1] == "id",
                               hovertemplate="%{text} answers: %{y:.1%} for %{x:.2f} GFLOP",
                               row=1, col=RULES.index(key[1]) + 1)  # fmt: skip
figure.update_xaxes(type="log", dtick="D2")  # 1, 2, 5, 10: fewer would leave an axis with one number

# %% [markdown]
# Further left is cheaper, higher is better (the axis is logarithmic). At equal FLOPs we interpolate the curve of the
# fresh samples at the dialogues' cost. For the interval of the difference, draw the hands again with replacement a
# thousand times, both curves from the same draw (a **bootstrap** over hands).


# %%
def differences(key, kept, k, draws=1000):
    """Dialogues of k attempts minus fresh samples: at equal answers, at equal FLOPs; each with a 95% interval."""
    (won, cost), (passed, price) = of_dialogues(talked[key], kept), of_samples(fresh[key], kept)
    rng, changes = np.random.default_rng(0), []
    for hands in [np.arange(HANDS), *rng.integers(HANDS, size=(draws, HANDS))]:
        dialogue, sampled, x = won[hands, k - 1].mean(), passed[hands].mean(0), price[hands].mean(0)
        spent = cost[hands, k - 1].mean()
        # Where a dialogue costs more than all samples drawn, more samples might solve more: an upper bound.
        changes.append((dialogue - sampled[k - 1], dialogue - np.interp(spent, x, sampled), spent > x[-1]))
    observed, redrawn = changes[0], np.array(changes[1:], float)
    bounds = np.quantile(redrawn[:, :2], (0.025, 0.975), axis=0)
    return [(observed[i], *bounds[:, i]) for i in (0, 1)], bool(observed[2])


print("dialogue minus fresh samples, points of success, 95% intervals over hands; ≤: the samples ran out")
for key in asked:
    print(*key)
    for k in (2, 3, 5, 10):
        (same, equal), out = differences(key, True, k)
        (_, anew), out_anew = differences(key, False, k)
        columns = ((same, False), (equal, out), (anew, out_anew))
        cells = [f"{'≤' * o or ' '}{100 * v:+5.1f} [{100 * a:+5.1f}, {100 * b:+5.1f}]" for (v, a, b), o in columns]
        print(f"  k = {k:2}: equal answers {cells[0]}   equal FLOPs, kept {cells[1]}   read anew {cells[2]}")

# %%
(_, low, high), _ = differences(("tiny:gp-l/rl", "rule-ood"), True, ATTEMPTS)[0]
reveal("fresh", VERDICTS[0] if low > 0 else VERDICTS[2] if high < 0 else VERDICTS[1])

# %%
print("success per FLOP of verification: points that the k-th answer adds, for each further GFLOP a hand (kept)")
print(f"{'':25}" + "".join(f"{'k = ' + str(k):>9}" for k in KS))
for key in asked:
    both = {"dialogue": of_dialogues(talked[key], True), "fresh": of_samples(fresh[key], True)}
    for name, (won, cost) in both.items():
        success, spent = won.mean(0)[:ATTEMPTS], cost.mean(0)[:ATTEMPTS] / 1e9
        rate = 100 * np.diff(success, prepend=0) / np.diff(spent, prepend=0)
        print(f"{key[0].rpartition('/')[2]} {key[1]:9} {name:11}" + "".join(f"{r:9.1f}" for r in rate))

# %% [markdown]
# A test-time budget should go where the next FLOP gains most. So far we compared uses of a *fixed* player. The paper's
# claim is about *training*.
#
# ## Part 2: attempts in training
#
# Figure 10 of the paper trains RL with 1, 3, 5 and 10 attempts at a hand, and compares growth of success under the
# changed rule at **equal training compute**. Every player is measured in the same way, whatever it was trained with.
# Our numbers come from stored runs; where some are missing, a line gives the command that makes them. The runs start
# from the lab's first Init, `tiny:recall/init`, which recalls formulas instead of searching for them.

# %%
trainings = ["1 attempt", "3 attempts", "5 attempts", "10 attempts", "no telling them apart"]
predict("At equal compute: which training gains most under the changed rule?", trainings, key="training")

# %%
from labkit.counting import counted
from labkit.replication import Archive, load_plan
from labkit.replication.findings import findings
from labkit.replication.missing import how_many, missing_jobs
from labkit.replication.series import common_compute, growth
from labkit.replication.stored import collect

plan, archive = load_plan("../configs/figures/10.yaml"), Archive(["../results", "../runs"])
stored = collect(plan, archive)
compute = common_compute(stored, "gp-l")
grown = {c.name: growth(stored.lines["gp-l", c.name], "rule-ood", compute) for c in plan.curves}
print("growth of success under the changed rule, in points, at the last probe near the same compute")
for line in plan.curves:
    paper, measured = 100 * line.paper.change["rule-ood"], grown[line.name]
    ours = "not stored yet"
    if measured:
        low, high = (100 * bound for bound in measured.change.ci95)
        ours = f"{100 * measured.change.value:+5.1f} [{low:+5.1f}, {high:+5.1f}] at {measured.flops / 1e12:.1f} TFLOP"
        ours += f", {counted(measured.seeds, 'seed')}"
    print(f"{line.name:12} the paper {paper:+5.2f}   ours {ours}")
if missing := missing_jobs(plan, archive):
    print(f"{how_many(missing)} missing; `labkit figures 10 --run` makes them")

# %%
from labkit.replication.draw import draw

draw(stored) if stored else print("figure 10: nothing is stored to be drawn")

# %%
for found in findings(stored):
    print(found.sentence)
known = {name: g.change for name, g in grown.items() if g}
if len(known) == len(grown):
    best = max(known, key=lambda name: known[name].value)
    clear = all(known[best].ci95[0] > c.ci95[1] for name, c in known.items() if name != best)
    reveal("training", best if clear else "no telling them apart")
else:
    print("The runs that would answer the question are not all stored; keep your guess.")

# %% [markdown]
# The last line names a winner only where its interval lies above all others. The sentences before it test the paper's
# claims one by one, each by an interval.
#
# ### What a learner sees
#
# To see where the compute goes, we train two players for a few updates, with 1 and with 5 attempts, in parallel. (In an
# **update** RL deals hands, plays them and learns from the dialogues.) So short a run shows nothing about *success*; it
# shows what an update *contains*.

# %%
import tempfile

from labkit.dispatch.local import BackgroundRun
from labkit.views.widgets.dashboard import RunDashboard

UPDATES = {1: 4, 5: 1} if FAST else {1: 30, 5: 10} if FULL else {1: 8, 5: 2}
short = [f"episodes={8 if FAST else 48}", "probe=null", "save_every=1000", *["max_new_tokens=96"] * FAST]
folder = tempfile.mkdtemp()
runs = {
    n: BackgroundRun("../configs/experiments/gp-l/rl.yaml", out=folder, device="cpu",
                     overrides=[f"attempts={n}", f"updates={updates}", f"name=rl-attempts-{n}", *short])
    for n, updates in UPDATES.items()
}  # fmt: skip
dashboard = RunDashboard(*runs.values(), metrics=["rollout/first_attempt_success", "rollout/turns"], every=1)
waiting = "While both train, a live dashboard stands here; the next figure shows how they ended."
show(dashboard.widget(), {"text/html": f"<p>{waiting}</p>", "text/plain": waiting})

# %%
for run in runs.values():
    run.wait()
dashboard.static(x="flops", smooth=0)

# %%
budget = min(run.run.metrics()[-1]["flops"] for run in runs.values())
print(f"within {budget / 1e12:.2f} TFLOP, playing and learning together, in whole updates")
print("attempts  TFLOP  hands  answers  right  after feedback  of these right  tokens trained on")
for n, run in runs.items():
    lines = [line for line in run.run.metrics() if line["flops"] <= budget * (1 + 1e-9)]
    if not lines:
        print(f"{n:8}  one update costs more than this")
        continue
    episodes = [e for line in lines for e in run.episodes(line["step"])]
    verdicts = [[a.verdict.success for a in e.attempts] for e in episodes]
    right, later = sum(map(sum, verdicts)), [v for tries in verdicts for v in tries[1:]]
    print(f"{n:8} {lines[-1]['flops'] / 1e12:6.2f} {len(episodes):6} {sum(map(len, verdicts)):8} {right:6}"
          f" {len(later):15} {sum(later):15} {lines[-1]['trained_tokens']:18,}")  # fmt: skip

# %% [markdown]
# The same compute covers either many hands with one attempt each, or fewer hands with up to five. With one attempt, a
# failed hand shows only what not to answer. With five there are further chances on the same hand, and answers *after
# feedback*, which training with one attempt never contains. On the other side, a hand that is too hard gives five wrong
# answers in place of one, and all of their tokens are trained on.
#
# Whether that pays is the question of figure 10; the answer needs the long runs and several seeds.
#
# ## What would change my mind
#
# * *One temperature, one size.* Fresh samples need randomness: at lower temperatures their curve falls. A large model
#   that reads feedback well may reverse the comparison. Put another player into `PLAYERS`.
# * *Lengths of training.* The base model's pre-training has dialogues of one to five wrong answers, none of ten. A
#   curve that flattens at the training length shows that, not a limit of verification.
# * *FLOPs are not time.* Fresh samples run in parallel; attempts wait for each other. Memory for keys and values is not
#   counted either.
# * *Growth from where?* Figure 10 counts from an Init. A player trained with one attempt and measured with five is
#   measured on something it was not trained for, which is part of the claim.
# * Intervals here are over hands, not over training seeds, unless they name several seeds.
#
# **Next**
# * [06_ppo_scaling](06_ppo_scaling.ipynb): training compute; [10_when_rl_fails](10_when_rl_fails.ipynb): when it does
#   not help.
# * `labkit figures 10 --run` makes the runs; `labkit eval gp-l --player tiny:gp-l/rl --temperature 0.6 --attempts 10`
#   plays ten attempts.
# * Read: section 5.5 and figure 10 of the paper; *Large language monkeys* ([arXiv
#   2407.21787](https://arxiv.org/abs/2407.21787)) on repeated sampling; *Scaling LLM test-time compute optimally*
#   ([arXiv 2408.03314](https://arxiv.org/abs/2408.03314)) on revision against sampling; Chen et al. ([arXiv
#   2107.03374](https://arxiv.org/abs/2107.03374)) on pass@k.

# %%
import platform
from importlib.metadata import version

print(f"{HANDS} hands of split dev, seed 0; {SAMPLES} samples; noise keyed by (0, hand, attempt)")
print("bootstrap: seed 0; training: seed 0 of configs/experiments/gp-l/rl.yaml")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
