# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # The other rule: who reads it?
#
# **By the end you will have shown** whether the sentence *SFT memorizes, RL generalizes* holds for small players, in a
# table of signs with intervals, under the trained rule and under a changed one; and **why** each sign comes out,
# from how the answers use the one sentence that changed.
#
# *For* anyone who knows what fine-tuning is; the two games are in notebooks [01](01_general_points.ipynb) and
# [02](02_virl.ipynb), attempts and feedback in [03](03_sequential_revision.ipynb). *Time*: 60 minutes; all cells
# together run in some ten minutes on two CPU cores, offline. *You will be able to*
#
# * compare two players hand by hand, and say when a change is clear of zero;
# * separate failures of the rule from failures of arithmetic;
# * measure memorisation by the paper's definition;
# * judge whether a comparison of two methods is fair, and what it holds equal.
#
# The paper is *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)); this is its
# Figures 5 and 6, on its two tasks in text.

# %% tags=["setup"]
import os

from labkit.envs import game, start
from labkit.exercises import check

FAST = os.environ.get("LABKIT_FAST") == "1"
SETTING = "class"  # "full": every hand and route of the test split, and every checkpoint; hours, not minutes
DEALS, ROUTES, SPLIT = {"class": (60, 24, "dev"), "full": ("all", "all", "test")}[SETTING]
if FAST:
    DEALS, ROUTES = 6, 4
gp, walk = game("gp-l"), game("virl-l")

# %% [markdown]
# ## One sentence changes
#
# Here the same four cards are dealt twice, under the trained rule (suite `id`, *in distribution*) and under a changed
# one (suite `rule-ood`, *out of distribution*). The words in which the two prompts differ are marked.

# %%
from difflib import SequenceMatcher

from IPython.display import HTML

from labkit.views.markup import text


def marked(old, new):
    """Two prompts in two columns, with the words in which they differ marked."""
    words = [prompt.replace("\n", " \n ").split(" ") for prompt in (old, new)]
    columns = ["", ""]
    for same, a0, a1, b0, b1 in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for n, (low, high) in enumerate([(a0, a1), (b0, b1)]):
            shown = text(" ".join(words[n][low:high])).replace("\n", "<br>")
            columns[n] += shown + " " if same == "equal" else f'<mark style="background:#F5C9A8">{shown}</mark> '
    heads = ("trained rule: suite id", "changed rule: suite rule-ood")
    cell = '<td style="width:50%;vertical-align:top;text-align:left;border:1px solid #BBBBBB;padding:8px">'
    shown = "".join(f"{cell}<strong>{h}</strong><br>{c}</td>" for h, c in zip(heads, columns, strict=True))
    return HTML(f"<table><tr>{shown}</tr></table>")


HAND = ["K", "6", "2", "4"]
tasks = [gp.task(hand=HAND, faces=faces) for faces in ("ten", "eleven-twelve-thirteen")]
marked(*(start(task).position.prompt for task in tasks))

# %% [markdown]
# The three players are one tiny model at three points of training. **Init** has had a [short supervised
# fine-tuning](04_sft_init.ipynb) (**SFT**), so that its answers keep the format; on GeneralPoints it searches in a
# *thought* before its formula. From there **SFT** continues with expert answers (without thoughts, as the paper's), and
# **RL** ([PPO](05_ppo_by_hand.ipynb), a method of reinforcement learning) plays, and makes rewarded answers likelier.
# Both see the *trained rule only*: hands of the split `train`, J Q K = 10. The next cell lists the players that come
# with the lab, for GeneralPoints (`gp-l`) and V-IRL (`virl-l`); `@N` is a checkpoint after N steps or updates:

# %%
import re

from labkit.players.registry import load, players

METHODS = ("init", "sft", "rl")


def ladder(cell):
    """The bundled players of a game by method, each method's checkpoints in the order of training, its end last."""
    named = [p.spec for p in players() if p.spec.startswith(f"tiny:{cell}/")]
    step = lambda spec: int(spec.partition("@")[2] or 10**9)
    specs = {m: sorted((s for s in named if re.fullmatch(f"tiny:{cell}/{m}(@\\d+)?", s)), key=step) for m in METHODS}
    return {method: one for method, one in specs.items() if one}


for cell in ("gp-l", "virl-l"):
    print(cell, "; ".join(f"{method}: {', '.join(specs)}" for method, specs in ladder(cell).items()))

# %% [markdown]
# ## Predict
#
# The paper's claim is four signs: from Init, success under the trained rule rises with both methods, and under the
# changed rule it falls with SFT and rises with RL.

# %%
from labkit.views.widgets.predict import predict, reveal

SIGNS = ["rises, clear of zero", "no change that can be seen", "falls, clear of zero"]
predict("SFT against Init under the CHANGED rule (J Q K = 11 12 13)?", SIGNS, key="rule_ood.sft")

# %%
predict("RL against Init under the CHANGED rule?", SIGNS, key="rule_ood.rl")

# %% [markdown]
# ## The same cards under both rules
#
# First the most direct test, from stored results: every player got the same hands under both rules, so that neither the
# hands nor their difficulty differ. On *held-out* hands no player was trained; the fourth line is SFT on hands that it
# *was* trained on. Intervals are over hands; those of a change are paired, hand by hand.

# %%
from labkit.views.widgets.same_cards import SameCards

cards = SameCards("../results/same-cards.json")
print(cards.table())
cards.figure()

# %% [markdown]
# **Result.** On held-out hands RL is above Init under both rules: 53.9% to 42.2%, and 67.0% to 47.4%. SFT is far below
# under both: 9.1% and 4.8%. On training hands it solves 88.7% under the trained rule and 1.7% under the changed one, a
# change of -87.0 points [-93.1, -80.8]: it has learnt hands by heart. Stopped early, it is no better on held-out hands:
# 12.2% and 12.6%. So what SFT on bare answers loses here is not only the rule; it stops searching.
#
# The same cards can be easier under one rule than under the other: RL and Init solve more of them under the changed
# rule, which neither was trained on. So compare players, not a slope with zero.
#
# ## Play: the same hands for all
#
# The two *suites* hold different hands: each has its own draw, of hands that its rule can solve. Within a suite all
# players get the same ones, so players are compared within a suite.
#
# Answers are sampled: each token is drawn from the model's distribution, as it is on V-IRL (temperature 1), sharpened
# on GeneralPoints (temperature 0.6, at which these players search best). Greedy play (always the likeliest token)
# measures only the peak of the distribution. Each player has five attempts with feedback. The hands are from `dev`,
# held out from training; under the trained rule the hands of `train` are played as well. `reference` adds a measure of
# how far each player has moved from Init, explained below.

# %%
import time

from IPython.display import display

from labkit.evaluation import evaluate


def clock(label):
    """A callback that shows the progress of an evaluation, and the time left."""
    began, line = time.monotonic(), display({"text/plain": label}, raw=True, display_id=True)

    def say(done, total, episode):
        gone = time.monotonic() - began
        left = f"about {gone / done * (total - done):.0f} s left" if done < total else f"{gone:.0f} s"
        line.update({"text/plain": f"{label}: {done} of {total}, {left}"}, raw=True)

    return say


TEMPERATURES = {"gp-l": 0.6, "virl-l": 1.0}


def play(spec, cell, suite, episodes, split=SPLIT):
    options = {"temperature": TEMPERATURES[cell], "device": "cpu"}
    player, init = (load(s, **options) for s in (spec, f"tiny:{cell}/init"))
    dealt = {"split": split, "episodes": episodes, "reference": None if spec.endswith("/init") else init}
    return evaluate(player, cell, suite, progress=clock(f"{spec} on {suite}"), **dealt)


SUITES = ("id", "rule-ood")
ends = {method: specs[-1] for method, specs in ladder("gp-l").items()}
results = {(m, suite): play(spec, "gp-l", suite, DEALS) for m, spec in ends.items() for suite in SUITES}
trained = {(m, "id"): play(spec, "gp-l", "id", DEALS, split="train") for m, spec in ends.items()}

# %%
from labkit.views.widgets.ood_matrix import OODMatrix

OODMatrix(list(results.values()))

# %% [markdown]
# With a live kernel a click on a cell opens its episodes. Overlapping intervals say nothing about the change: all
# players played the *same hands*, so the luck of the hands cancels in the difference, which has an interval of its own.
# `paired` computes it, with a test of "both are equally good" beside it. (Near the threshold the two may disagree; then
# take the change as not shown.)

# %%
from labkit.evaluation import paired


def table(heads, rows):
    """Rows of plain text as an HTML table."""
    cell = '<{0} style="border:1px solid #BBBBBB;padding:4px 10px;text-align:left">{1}</{0}>'
    lines = [("th", heads), *(("td", row) for row in rows)]
    shown = ("".join(cell.format(kind, text(entry)) for entry in line) for kind, line in lines)
    return HTML("<table>" + "".join(f"<tr>{line}</tr>" for line in shown) + "</table>")


def points(change):
    low, high = change.ci95
    return f"{100 * change.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]".replace("-", "−")


def sign(change):
    return SIGNS[0] if change.ci95[0] > 0 else SIGNS[2] if change.ci95[1] < 0 else SIGNS[1]


# %%
def signs(results, paper, metric=None):
    """Each pair of players, paired deal by deal, beside what the paper found."""
    rows = []
    for old, new in (("init", "sft"), ("init", "rl"), ("sft", "rl")):
        for suite in SUITES:
            if (old, suite) not in results or (new, suite) not in results:
                continue
            pair = [results[m, suite].episodes for m in (old, new)]
            change, test = paired.difference(*pair, metric=metric), paired.test(*pair, metric=metric)
            reported = paper.get((old, new, suite), "–")
            p = f"{test.p:.3f}" if test.p >= 0.001 else "< 0.001"
            rows.append((f"{new} − {old}", suite, points(change), sign(change), p, reported))
    return table(("change", "suite", "points, 95% interval", "so it", "p", "the paper (Figures 5 and 6)"), rows)


PAPER = {
    ("init", "sft", "rule-ood"): "falls: 11.5 to 3.4%", ("init", "rl", "rule-ood"): "rises: 11.5 to 15.0%",
    ("sft", "rl", "rule-ood"): "3.4 against 15.0%",
}  # fmt: skip
TRAINED = {("init", "sft", "id"): "rises", ("init", "rl", "id"): "rises"}
display(HTML("<strong>held-out hands, both rules</strong>"), signs(results, PAPER))
display(HTML("<strong>training hands</strong>"), signs(trained, TRAINED))

# %%
for method in ("sft", "rl"):
    change = paired.difference(results["init", "rule-ood"].episodes, results[method, "rule-ood"].episodes)
    reveal(f"rule_ood.{method}", sign(change))

# %% [markdown]
# Read the rows against Init first. The paper holds out no hands: its in-distribution success is ours on *training*
# hands. The hands of `id` are held out, so they ask a second question: did the player learn *these hands*, or the game?
# Then compare with `rule-ood`: the claim is that the signs *differ*. These intervals are over hands, not over training
# seeds: here each method was trained once. (The paper's 11.5 and 15.0% were measured on 234 hands, once: some 27 and 35
# hands.)
#
# **Exercise 1.** The paired test by hand. You get for each hand whether it was solved before and after. Return the
# change (mean of after minus before) and the two-sided p-value of McNemar's exact test: if neither player is better,
# each hand *that changed* is a fair coin.

# %% tags=["exercise"]
def mcnemar(before, after):
    """(change, p) of two lists of True and False, of the same hands in the same order."""
    raise NotImplementedError("your turn")


# %%
check("rule_ood.mcnemar", mcnemar)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `math.comb(m, k) / 2**m` is the probability of k heads in m throws. How improbable is the smaller of the two counts,
# or an even smaller one?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import math
#
#
# def mcnemar(before, after):
#     """(change, p) of two lists of True and False, of the same hands in the same order."""
#     better = sum(a and not b for b, a in zip(before, after))
#     worse = sum(b and not a for b, a in zip(before, after))
#     changed = better + worse
#     tail = sum(math.comb(changed, k) for k in range(min(better, worse) + 1)) / 2**changed
#     return (better - worse) / len(before), min(1.0, 2 * tail)
# ```
#
# Hands with the same result in both do not enter the test: pairing removes them.
#
# </details>

# %% [markdown]
# ## Why: what do the answers do with the rule?
#
# We look at three things. An answer's `number` field **translates** the cards (the verifier does not judge it, but it
# shows how the player read the rule); its formula has to be **valid**: legal, and made of exactly the right numbers;
# and its value has to be **24**. Only the first two are about the rule.

# %%
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from labkit.views.palette import METHODS as COLOURS

GATES = {
    "legal": "a formula that<br>can be read", "number_right": "numbers<br>translated",
    "valid": "valid: each card<br>once, as it counts",
    "faces_as_ten": "face cards<br>written as 10", "kept_old_rule": "right numbers of<br>the OTHER rule",
}  # fmt: skip
figure = make_subplots(1, 2, subplot_titles=["trained rule (id)", "changed rule (rule-ood)"], shared_yaxes=True)
for column, suite in enumerate(SUITES, 1):
    for number, method in enumerate(ends):
        rates = [results[method, suite].details[gate] for gate in GATES]
        known = [(n, r) for n, r in enumerate(rates) if r.value is not None]
        up, down = [r.ci95[1] - r.value for _, r in known], [r.value - r.ci95[0] for _, r in known]
        figure.add_scatter(
            x=[n + 0.22 * (number - 1) for n, _ in known], y=[r.value for _, r in known], name=method,
            error_y={"array": up, "arrayminus": down, "thickness": 1.5}, mode="markers",
            marker={"color": COLOURS[method], "size": 10, "symbol": ["circle", "square", "diamond"][number]},
            legendgroup=method, showlegend=column == 1, customdata=[r.n for _, r in known],
            hovertemplate=f"{method}: %{{y:.1%}}, n = %{{customdata}}<extra></extra>", row=1, col=column,
        )  # fmt: skip
places = list(range(len(GATES)))
figure.update_xaxes(tickvals=places, ticktext=list(GATES.values()), tickfont_size=10, range=[-0.5, len(GATES) - 0.5])
figure.update_yaxes(tickformat=".0%", range=[-0.03, 1.03])
title = "What the answers do with the rule: shares with 95% intervals"
figure.update_layout(title=title, template="plotly_white", height=430)
figure

# %% [markdown]
# Read it from left to right, and compare the panels. If a player keeps the *format* in the right panel but loses
# *translation* and *validity*, it has not lost the game, it has lost the **rule**. The last two rates show how: *face
# cards written as 10* is the old rule in the translation, *right numbers of the other rule* the old rule in the formula
# (in first answers, where the rules differ). Both are zero for a player that only miscalculates. (In the left panel
# *face cards as 10* is no mistake and is not counted.)

# %% [markdown]
# **Exercise 2.** *Number translation accuracy*: you get answers as pairs of the dealt cards and the numbers that the
# player wrote (`None` where there is no list to read), and what J, Q, K count as. What share of the answers is right?
# An ace counts as 1; the order is free.

# %% tags=["exercise"]
def translation_accuracy(answers, faces):
    """The share of right answers; answers is a list of (cards, numbers or None), faces like {"J": 11, ...}."""
    raise NotImplementedError("your turn")


# %%
check("rule_ood.translation_accuracy", translation_accuracy)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Compare sorted lists. `{"A": 1, **faces}.get(card)` is what a card counts as, unless the card is a number (as text,
# like `"6"`).
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def translation_accuracy(answers, faces):
#     """The share of right answers; answers is a list of (cards, numbers or None), faces like {"J": 11, ...}."""
#     counts = {"A": 1, **faces}
#     right = 0
#     for cards, numbers in answers:
#         should = sorted(counts[c] if c in counts else int(c) for c in cards)
#         right += numbers is not None and sorted(numbers) == should
#     return right / len(answers)
# ```
#
# The verifier does not judge this field, and it earns no reward: it is evidence of how the player read the rule.
#
# </details>

# %% [markdown]
# **Exercise 3.** And the formula: from the numbers that it uses, tell which rule it follows: `"old"` (J = Q = K = 10),
# `"new"` (11, 12, 13), `"both"`, or `"neither"`.

# %% tags=["exercise"]
def rules_of(cards, used):
    """The rule under which `used` are the numbers of the cards, each once, in any order."""
    raise NotImplementedError("your turn")


# %%
check("rule_ood.rules_of", rules_of)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Translate the cards under each rule. When do the two give the same numbers?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def rules_of(cards, used):
#     """The rule under which `used` are the numbers of the cards, each once, in any order."""
#     def numbers(faces):
#         counts = {"A": 1, **faces}
#         return sorted(counts[c] if c in counts else int(c) for c in cards)
#
#     old = numbers({"J": 10, "Q": 10, "K": 10}) == sorted(used)
#     new = numbers({"J": 11, "Q": 12, "K": 13}) == sorted(used)
#     return {(True, True): "both", (True, False): "old", (False, True): "new", (False, False): "neither"}[old, new]
# ```
#
# "Both" is a hand without face cards. It cannot show whether a player reads the rule, so `rule-ood` contains none.
#
# </details>

# %% [markdown]
# ## The first error of each answer
#
# The next figure sorts the first answers under the changed rule by their first error.

# %%
from collections import Counter

from labkit.envs.general_points.verifier import read
from labkit.evaluation.general_points import valid

ERRORS = {
    "right": "#009E73", "arithmetic": "#56B4E9", "formula uses other numbers": "#B8860B", "old rule": "#D55E00",
    "other translation": "#CC79A7", "no legal formula": "#767676",
}  # fmt: skip


def error_of(attempt):
    failed = set(attempt.verdict.evidence["failed"])
    if attempt.verdict.success:
        return "right"
    if failed & {"unreadable", "illegal_formula"}:
        return "no legal formula"
    old = attempt.other_rule is not None and (attempt.other_rule.evidence["number_right"] or valid(attempt.other_rule))
    if not attempt.verdict.evidence["number_right"]:
        return "old rule" if old else "other translation"
    return "arithmetic" if valid(attempt.verdict) else "formula uses other numbers"


counts = {m: Counter(error_of(e.attempts[0]) for e in results[m, "rule-ood"].episodes) for m in ends}
figure = go.Figure(layout={"barmode": "stack", "template": "plotly_white", "height": 320, "xaxis_tickformat": ".0%",
                           "title": "First answers under the changed rule", "legend_traceorder": "normal"})
for name, colour in ERRORS.items():
    share = [counts[m][name] / counts[m].total() for m in ends]
    labels = [f"{s:.0%}" if s else "" for s in share]
    figure.add_bar(y=list(ends), x=share, name=name, orientation="h", marker_color=colour, text=labels, textangle=0)
figure.update_yaxes(autorange="reversed")
figure

# %% [markdown]
# *Old rule* and *arithmetic* are different failures: in the first the player ignores the changed sentence, in the
# second it reads it and miscalculates. Success alone cannot tell them apart.
#
# **Exercise 4.** Write such a function yourself, with four kinds of error. The checks are made in this order, and the
# first that fails gives the name: `"format"` (there is no legal formula), `"translation"` (the number field is wrong),
# `"copying"` (the formula does not use exactly the right numbers), `"arithmetic"` (it does not make 24). Otherwise
# `"right"`.

# %% tags=["exercise"]
def failure(legal, number_right, complete, makes_24):
    """The first error of an answer; all four arguments are True or False."""
    raise NotImplementedError("your turn")


# %%
check("rule_ood.failure", failure)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Four `if`s, in the order of the text.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def failure(legal, number_right, complete, makes_24):
#     """The first error of an answer; all four arguments are True or False."""
#     if not legal:
#         return "format"
#     if not number_right:
#         return "translation"
#     if not complete:
#         return "copying"
#     return "right" if makes_24 else "arithmetic"
# ```
#
# The order is a choice: an answer with a wrong number field and a right formula counts as *translation* here, although
# the verifier rewards it. A report of failures should state its order.
#
# </details>

# %% [markdown]
# ## Memorisation, by the paper's definition
#
# A footnote of the paper's introduction defines memorisation as a model's capacity to give *near-exact copies of
# training examples*. The training examples are the expert's formulas for the hands of `train`; a **copy** is a wrong
# answer that equals one of them character by character; a **near copy** differs by at most one character. And how far
# has each player moved? The **KL divergence** from Init measures it on the player's own answers, in nats a token: the
# mean of log (player's probability / Init's probability), 0 where the two agree.

# %%
rows = []
for (method, suite), result in results.items():
    shares = [result.details[name] for name in ("copied", "copied_same_cards", "nearly_copied")]
    rates = ["–" if s.ci95 is None else f"{s.value:.1%} [{s.ci95[0]:.1%}, {s.ci95[1]:.1%}]" for s in shares]
    kl = result.details.get("kl")
    moved = f"{kl.value:.3f} [{kl.ci95[0]:.3f}, {kl.ci95[1]:.3f}]" if kl and kl.ci95 else "–"
    rows.append((method, suite, str(shares[0].n), *rates, moved))
heads = ("player", "suite", "wrong answers", "copies", "to these cards", "near copies", "KL from Init, nats a token")
table(heads, rows)

# %% [markdown]
# Compare within a column, and with Init. Under the *trained* rule near copies say little: a formula that just misses 24
# is often one character from one that makes it. Under the *changed* rule a copy of the answer "to these cards" answers
# the question of training, not this one. The KL under the changed rule is measured on a prompt that neither method was
# trained on: a distance there is a side effect.
#
# ## One hand, three players
#
# Here is a hand that RL solves at the first attempt and SFT does not, if there is one; by the old rule, if that
# happens. (It is *chosen* as an example; the rates above show how often this happens.)

# %%
from labkit.views.markup import standalone
from labkit.views.turns import hand_html, summary_html, turn_card
from labkit.views.widgets.episodes import EpisodeViewer

played = {m: {e.task.index: e for e in results[m, "rule-ood"].episodes} for m in ends}


def telling(index):
    errors = {m: error_of(played[m][index].attempts[0]) for m in ends}
    tries = len(played[list(ends)[-1]][index].attempts)
    failed = (errors.get("sft") != "right") + (errors.get("sft") == "old rule")
    return 2 * (errors.get("rl") == "right") + failed - 0.1 * tries


index = max(played["init"], key=telling)
columns = ""
for method in ends:
    episode = played[method][index]
    shown = f"<strong>{method}</strong>{summary_html(episode)}{turn_card(episode, 0, 0)}"
    columns += f'<td style="vertical-align:top;text-align:left;width:33%">{shown}</td>'
table_of_three = f'<table style="table-layout:fixed;width:100%"><tr>{columns}</tr></table>'
HTML(standalone(hand_html(played["init"][index]) + table_of_three))

# %% [markdown]
# Each column shows the result of the episode, then its first answer. In each answer look for the line that judges it
# **under the other rule**. The next cell shows all hands of SFT: with a live kernel, choose *wrong_numbers* and page
# through them (`"init"` or `"rl"` in place of `"sft"` shows the others).

# %%
EpisodeViewer(results["sft", "rule-ood"].episodes)

# %% [markdown]
# ## Is the comparison fair?
#
# So far we compared the *last* checkpoints of two runs, whose lengths were a choice. A fairer comparison holds
# something equal: **compute** (RL also plays, so it spends less of it on learning), **updates** (an update of RL is
# worth many steps of SFT), or success under the trained rule. The last asks: of two players that are equally good at
# the trained task (**ID success**), which keeps the changed rule (**OOD success**)?
#
# This needs whole curves. Every *probe* of a stored run (success on a fixed set of deals, measured while it trained) is
# a point; buttons change the x axis. `show_figure` draws a figure of the paper from the stored runs, and lists the
# missing ones.

# %%
from labkit.replication import Archive
from labkit.replication.findings import findings
from labkit.replication.show import show_figure

ARCHIVE = Archive(["../results", "../runs"])
data = show_figure("../configs/figures/05.yaml", ARCHIVE, "id")

# %% [markdown]
# ### At equal success on the trained task
#
# It opens with **ID success** as the x axis, on training deals, as in the paper: each method is a path that starts at
# Init. At the same x, which path is higher? Then press *FLOPs* and *updates*: is the answer the same? Each point of a
# path is a single probe with an error of a few points, and paths turn back, so read them with their intervals (hover).
#
# **Exercise 5.** Read a path at a level: given its points (ID success, OOD success) in the order of training, return
# the OOD success where ID success *first reaches* the level, on the straight line between points; `None` where it never
# does. A path that begins at or above the level gives its first value.

# %% tags=["exercise"]
def ood_at(path, level):
    """OOD success where ID success first reaches a level; path is a list of (id, ood)."""
    raise NotImplementedError("your turn")


# %%
check("rule_ood.ood_at", ood_at)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Go through the neighbouring pairs, and stop at the first whose second point has reached the level.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def ood_at(path, level):
#     """OOD success where ID success first reaches a level; path is a list of (id, ood)."""
#     if path[0][0] >= level:
#         return path[0][1]
#     for (x0, y0), (x1, y1) in zip(path, path[1:]):
#         if x0 < level <= x1:
#             return y0 + (y1 - y0) * (level - x0) / (x1 - x0)
#     return None
# ```
#
# *First* reaching favours the method whose early probes were lucky. Averaging over seeds before reading is better.
#
# </details>

# %% [markdown]
# The next cell does the same at levels that both methods reach. A path that turns back crosses a level several times:
# all crossings are listed, in the order of training.

# %%
import numpy as np

from labkit.replication.series import mean_line


def crossings(path, level):
    """OOD success each time that ID success crosses a level, up or down."""
    steps = [(a, b) for a, b in zip(path, path[1:]) if min(a[0], b[0]) < level <= max(a[0], b[0])]
    return [y0 + (y1 - y0) * (level - x0) / (x1 - x0) for (x0, y0), (x1, y1) in steps]


for cell in data.cells:
    asked = (data.figure.plan.suites[0], "rule-ood")  # the first is what counts as ID success
    lines = {m: mean_line(data.lines[cell, m], asked) for m in ("SFT", "RL") if data.lines[cell, m]}
    pairs = [zip(*(line.values[s] for s in asked), strict=True) for line in lines.values()]
    paths = [[(one.value, other.value) for one, other in pair] for pair in pairs]
    if len(paths) < 2:
        continue
    low, high = max(path[0][0] for path in paths), min(max(x for x, _ in path) for path in paths)
    for level in np.linspace(low, high, 4)[1:]:
        at = [", ".join(f"{y:.0%}" for y in crossings(path, level)) for path in paths]
        print(f"{cell}: where ID success passes {level:.0%}, rule-OOD is {at[0]} with SFT; {at[1]} with RL")

# %% [markdown]
# These numbers have no intervals, so they show only a direction. If the first crossings are alike and later ones are
# not, then SFT forgets the rule only when it is trained *longer*: the stopping point is part of the method. For an
# interval we need two *players* of about the same ID success, on the same hands. Intermediate checkpoints are bundled
# too (`tiny:gp-l/sft@N`). Of all pairs of an SFT and an RL player, which are nearest in success on held-out `id` hands,
# and how do they differ under the changed rule?

# %%
def some(specs):
    """Checkpoints besides the end: a few in the class setting, evenly spaced; all in the full one."""
    most = 0 if FAST else 2 if SETTING == "class" else len(specs)
    places = np.linspace(0, len(specs) - 1, min(most, len(specs)), dtype=int) if specs else []
    return [specs[i] for i in sorted(set(places))]


family = {m: {specs[-1]: {suite: results[m, suite] for suite in SUITES}} for m, specs in ladder("gp-l").items()}
for method, specs in ladder("gp-l").items():
    for spec in some(specs[:-1]):
        family[method][spec] = {suite: play(spec, "gp-l", suite, DEALS) for suite in SUITES}
pairs = [(a, b) for a in family.get("sft", {}).values() for b in family.get("rl", {}).values()]
for a, b in sorted(pairs, key=lambda ab: abs(ab[0]["id"].value - ab[1]["id"].value))[:1]:
    print(f"the nearest of {len(pairs)} pairs: {a['id'].player} and {b['id'].player}")
    for suite in SUITES:
        change = paired.difference(a[suite].episodes, b[suite].episodes)
        print(f"  {suite:8}  RL − SFT {points(change)} points")

# %% [markdown]
# If the first line is near zero and the second clear of it, the difference under the changed rule does not come from
# one player being better at the trained one. If the first is not near zero, there is no fair pair.
#
# ## The last checkpoints, on every test hand and route
#
# Stored runs have more than the class setting: three training seeds, every hand of `test` once, and intervals over
# seeds and hands.

# %%
_ = show_figure("../configs/figures/06.yaml", ARCHIVE)

# %% [markdown]
# Where an interval contains zero, there may be no effect, or the study may be too small to see it. The next figure
# shows GeneralPoints with more *hands*: every hand of the changed rule. Compare its intervals with those above.
#
# It has a rival of RL too: *SFT on thoughts* learns from the expert's searches. Is it RL, or the thought, that SFT on
# bare answers lacks?

# %%
_ = show_figure("../configs/figures/06-gp-l.yaml", ARCHIVE)

# %% [markdown]
# On V-IRL two claims that sound alike have to be kept apart: *SFT loses the changed rule* (against Init; this depends on
# the length of its training), and *RL carries over more than SFT does* (at equal compute). Figure 6 has both: SFT at its
# end, after three times PPO's compute, and *SFT as long as RL*.
#
# All of these answers are **sampled**, as in training: success is an average over the player's answers. The same
# players can also play **greedily** (temperature 0): the likeliest answer only. A rise that appears when sampled but
# not when greedy is a gain in *confidence*: the likeliest answers are sampled more often, but they have not become
# better.

# %%
GREEDY = ["rises too, clear of zero", "cannot be told from Init", "falls, clear of zero"]
predict("Greedy: RL on the walk, under the changed rule, against Init?", GREEDY, key="rule_ood.greedy")

# %%
data = show_figure("../configs/figures/06-virl-l-temperatures.yaml", ARCHIVE)
shown = [f for f in findings(data) if (f.cell, f.claim.curve, f.claim.suite, f.claim.than)
        == ("virl-l", "RL at T 0", "rule-ood", "Init at T 0")]  # fmt: skip
if shown and shown[0].change:
    reveal("rule_ood.greedy", GREEDY[{"agrees": 0, "disagrees": 2}.get(shown[0].verdict, 1)])

# %% [markdown]
# A report of a rise should state its temperature, and check the other one. (In GeneralPoints a player that searches
# has another reason to be sampled: greedily it makes the tries that missed again.)

# %% [markdown]
# ## Is it the dialogue?
#
# RL and SFT differ in more than their loss. RL learns from **dialogues**, in which wrong answers and the verifier's
# feedback come before a right one; SFT above saw right answers only. Figure 15 trains SFT on such dialogues, from the
# lab's first Init, `tiny:recall/init`, which recalls formulas instead of searching for them. One curve
# has its loss on *every* answer of them, wrong ones too; another on the *last* answer only, which is right.

# %%
FALLS = ["both", "only where wrong answers are learnt too", "only where the last answer is learnt", "neither"]
predict("Which of the two falls, clear of zero, under the changed rule?", FALLS, key="rule_ood.dialogue")

# %%
data = show_figure("../configs/figures/15.yaml", ARCHIVE)
falls = [f for f in findings(data) if (f.claim.suite, f.claim.says) == ("rule-ood", "falls")]
fell = {f.claim.curve: f.on_these_deals for f in falls}
asked = [fell.get(name) for name in ("SFT on dialogues", "SFT on last answers")]
if None in asked or "no data" in asked:
    print("The runs that would answer the question are not stored; keep your guess.")
else:
    pair = tuple(verdict == "agrees" for verdict in asked)
    reveal("rule_ood.dialogue", FALLS[{(True, True): 0, (True, False): 1, (False, True): 2}.get(pair, 3)])

# %% [markdown]
# SFT learns the answers that carry loss: it copies wrong answers as faithfully as right ones. Look at the training
# hands first: a curve that falls there too is worse at the game, not only at the rule. Do not conclude from the last
# curve that context alone is enough: it has one seed, for the same compute it learnt half as many answers as plain SFT,
# and it is measured with feedback, which it saw in training.
#
# ## V-IRL: other words for the same turns
#
# In V-IRL the rule says how a turn is named: training had compass words, not *left* and *right*. The instruction always
# has both.

# %%
routes = [next(walk.tasks(suite, "dev")) for suite in SUITES]
marked(*(start(task).position.prompt for task in routes))

# %%
WHERE = ["turns", "other steps", "both alike", "neither"]
predict("Which answers of SFT will the changed words hurt, against Init's?", WHERE, key="rule_ood.walk")

# %%
walkers = {method: specs[-1] for method, specs in ladder("virl-l").items()}
walks = {(m, suite): play(spec, "virl-l", suite, ROUTES) for m, spec in walkers.items() for suite in SUITES}
OODMatrix(list(walks.values()))

# %% [markdown]
# The table counts right *answers*, as the paper does; every attempt is an answer. Most steps are `forward()`, which is
# the same under both rules, so look at *turns* too; and at whole *routes*, which end at the first failed step.

# %%
WALK = {
    ("init", "sft", "rule-ood"): "falls: 80.8 to 1.3%", ("init", "rl", "rule-ood"): "rises: 80.8 to 91.8%",
    ("sft", "rl", "rule-ood"): "1.3 against 91.8%",
}  # fmt: skip
NAMES = {"per_step_accuracy": "answers", "turn_accuracy": "turns", "route_success": "whole routes"}
for metric, words in NAMES.items():
    display(HTML(f"<strong>{words}</strong>"), signs(walks, WALK if metric == "per_step_accuracy" else {}, metric))

# %%
pair = [walks[m, "rule-ood"].episodes for m in ("init", "sft")]
changes = [paired.difference(*pair, metric=metric).ci95 for metric in ("turn_accuracy", "other_accuracy")]
fell = [bool(ci95) and ci95[1] < 0 for ci95 in changes]  # a player that fails at the first turn has no other steps
reveal("rule_ood.walk", WHERE[{(True, False): 0, (False, True): 1, (True, True): 2}.get(tuple(fell), 3)])

# %% [markdown]
# Which words does each player use at turns, when only *left* and *right* are allowed?

# %%
from labkit.envs.virl.headings import ACTIONS

WORDS = {
    "the right relative word": "#009E73", "another relative word": "#56B4E9",
    "the compass word of training": "#D55E00", "another compass word": "#CC79A7", "no turn, or unreadable": "#767676",
}  # fmt: skip


def word_of(position, attempt):
    action = str(attempt.fields.get("action", "")).strip()
    word = action.partition("(")[2].rstrip(")")
    if attempt.verdict.success:
        return "the right relative word"
    if action == position.state["other_action"]:
        return "the compass word of training"
    kinds = {"relative": "another relative word", "absolute": "another compass word"}
    return next((kinds[rule] for rule, words in ACTIONS.items() if word in words), "no turn, or unreadable")


def at_turns(episodes):
    turns = [p for e in episodes for p in e.positions if p.attempts and p.state["action"].startswith("turn")]
    return Counter(word_of(p, p.attempts[0]) for p in turns)


words = {m: at_turns(walks[m, "rule-ood"].episodes) for m in walkers}
figure = go.Figure(layout={"barmode": "stack", "template": "plotly_white", "height": 320, "xaxis_tickformat": ".0%",
                           "title": "First answers at turns under the changed words", "legend_traceorder": "normal"})
for name, colour in WORDS.items():
    share = [words[m][name] / words[m].total() for m in walkers]
    names, labels = [f"{m}, n = {words[m].total()}" for m in walkers], [f"{s:.0%}" if s else "" for s in share]
    figure.add_bar(y=names, x=share, name=name, orientation="h", marker_color=colour, text=labels, textangle=0)
figure.update_yaxes(autorange="reversed")
figure

# %% [markdown]
# *The compass word of training* is a copy in the paper's sense: the right answer under the trained rule, to a prompt
# that forbids the word. *Another relative word* is the opposite error: the answer keeps the rule, but the turn is
# wrong.
#
# ## What would change my mind
#
# * **More seeds.** In this notebook each method was trained once. Only several seeds (figures 05 and 06) can show an
#   effect of the *method*; one checkpoint's interval is over hands.
# * **Another recipe.** Learning rates were chosen on `dev` deals under the trained rule, without regard to the changed
#   one. `labkit figures grid` has the neighbouring rates, with their success under the changed rule.
# * **A larger model.** This one has about a million parameters and was *pre-trained* to read any rule and to search, so
#   there was something to lose. It shows nothing about how a large model reads rules.
# * **Other explanations.** RL may have stayed nearer to Init (see the KL), it has seen feedback and its own errors, and
#   it trains on its own answers. If RL keeps the rule, which of these is the cause?
# * **One changed rule.** 11-12-13 is one rule. `faces={"J": 5, "Q": 5, "K": 5}` in `evaluate` is another.
#
# **Read**: the paper's section 5.1 and appendix C; Kirk et al. on RLHF and generalisation ([arXiv
# 2310.06452](https://arxiv.org/abs/2310.06452)); *RL's Razor* ([arXiv 2509.04259](https://arxiv.org/abs/2509.04259)),
# on KL and forgetting; [docs/evaluation.md](../docs/evaluation.md), on every measure and interval used here.
#
# **Next**: [10_when_rl_fails](10_when_rl_fails.ipynb): RL is no magic.

# %%
import platform
from importlib.metadata import version

print(f"setting {SETTING}{' (fast)' if FAST else ''}: {DEALS} deals, {ROUTES} routes of {SPLIT}, seed 0")
print("temperatures", TEMPERATURES)
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
