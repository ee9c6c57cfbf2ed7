# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Sequential revision: what a second attempt is worth
#
# **By the end you will have shown** how much a model gains from one attempt to five, and, by three controls, how much
# of the gain is owed to what the verifier *says* and how much to trying again.
#
# *For* anyone who has seen [the tour](00_tour.ipynb); the game and its verdicts are in
# [notebook 01](01_general_points.ipynb). *Time*: 40 minutes; all cells together run in about a minute on two CPU
# cores, offline. *You will be able to*
#
# * write down, message for message, what a model reads before its third attempt;
# * estimate success within *k* attempts, and **pass@k** from independent samples, with intervals;
# * design a control for "the model uses the feedback";
# * tell what equal numbers of answers cost, in tokens and in reward.
#
# **Sequential revision** is how *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161),
# section 3) lets a model act: it answers, the verifier says what is wrong, both are appended to the dialogue, and the
# model answers again; five times at most.

# %% tags=["setup"]
import os
from dataclasses import replace
from itertools import islice

from labkit.envs import game, judge, prompt, start
from labkit.exercises import check

FAST = os.environ.get("LABKIT_FAST") == "1"
HANDS, ATTEMPTS = (40 if FAST else 200), 5
gp = game("gp-l")

# %%
from labkit.play import play_many
from labkit.players.registry import load
from labkit.views.widgets.episodes import EpisodeViewer

player = load("tiny:gp-l/init", temperature=1.0, max_new_tokens=64)
first = [played.episode for played in play_many(islice(gp.tasks("id", "dev"), 48), player)]
shown = min(first, key=lambda e: (not e.success, abs(len(e.attempts) - 3), e.task.index))
EpisodeViewer([shown, *(e for e in first if e is not shown)])

# %% [markdown]
# One card is one attempt: the answer, the verdict, and the feedback in quotation marks. The player is
# `tiny:gp-l/init`, a small language model that comes with the lab. It **samples**: each token is drawn from its
# distribution as it is (*temperature* 1), so that a second try can differ from the first.
#
# With a live kernel, leaf through all 48: which feedback is followed by a better answer, which by the same one?

# %% [markdown]
# ## The dialogue grows
#
# The model has no memory but the text in front of it. Before each attempt it reads the whole dialogue so far. The
# paper writes the input of turn *t* as the first prompt and all earlier answers and feedback,
# $v^{in}_t = [v^{in}_0, v^{out}_0, v^{ver}_0, …, v^{out}_{t-1}, v^{ver}_{t-1}]$.

# %%
episode = start(shown.task)
for number, attempt in enumerate(shown.attempts, 1):
    messages = prompt(episode)
    print(f"attempt {number} reads {len(messages)} message(s), {attempt.sample.prompt_tokens} tokens")
    for message in messages[-2:] if number > 1 else messages:
        print(f"   [{message.role}] {message.text}")
    episode = judge(episode, attempt.answer)

# %% [markdown]
# **Exercise 1.** Write the dialogue yourself: the first prompt, the answers so far and the feedback to each, as a list
# of `(role, text)`. Roles are `"user"` and `"assistant"`.

# %% tags=["exercise"]
def dialogue(first_prompt, answers, feedback):
    """What a model is sent after these answers; answers and feedback are lists of equal length."""
    raise NotImplementedError("your turn")


# %%
check("sequential_revision.dialogue", dialogue)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Who says the feedback? In a chat there are only two sides.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def dialogue(first_prompt, answers, feedback):
#     """What a model is sent after these answers; answers and feedback are lists of equal length."""
#     turns = [("user", first_prompt)]
#     for answer, said in zip(answers, feedback, strict=True):
#         turns += [("assistant", answer), ("user", said)]
#     return turns
# ```
#
# Nothing is ever taken out: a wrong answer stays in view, as an example of what not to do or as something to
# copy.
#
# </details>

# %% [markdown]
# ## Success within 1 to 5 attempts
#
# An attempt does not depend on how many may follow, so one evaluation with five attempts holds those with fewer.
# These are hands of the `dev` split, which were kept out of the model's fine-tuning.

# %%
from labkit.evaluation import evaluate

real = evaluate(player, "gp-l", "id", split="dev", episodes=HANDS, attempts=ATTEMPTS)
for k, estimate in real.details["within"].items():
    low, high = estimate.ci95
    print(f"within {k}: {estimate.value:5.1%}   95% [{low:5.1%}, {high:5.1%}]   n = {estimate.n} hands")

# %% [markdown]
# More attempts, more success: that much is certain in advance, since success within *k* can only grow. The question is
# **why** it grows. To find out, take away one thing after another, and see whether the gain goes with it:
#
# | condition | earlier answers in view | what is said of them |
# |---|---|---|
# | *feedback* | yes | the verifier's sentence: which number is unused, what the formula equals |
# | *bare "Wrong."* | yes | "Wrong. Try again." |
# | *another's feedback* | yes | the sentence that the verifier said to *another* hand's answer |
# | *fresh samples* | no | nothing: five independent answers to the first prompt |
#
# The first attempts are the same in all of them, token for token: the noise of sampling is keyed by hand and attempt.

# %%
from labkit.views.widgets.predict import predict, reveal

VERDICTS = ["feedback is better", "no difference can be seen", "feedback is worse"]
predict("Five attempts: the verifier's feedback or a bare “Wrong.”?", VERDICTS, key="revision.bare")

# %%
predict("Five attempts with feedback, or five fresh samples?", VERDICTS, key="revision.fresh")

# %% [markdown]
# The bare "Wrong." needs no new code: what the verifier says are **templates** of the task, which can be replaced.

# %%
BARE = dict.fromkeys(("unreadable", "illegal_formula", "wrong_numbers", "wrong_value"), "Wrong.")
bare = evaluate(player, "gp-l", "id", split="dev", episodes=HANDS, attempts=ATTEMPTS, prompts=BARE)
print(next(e for e in bare.episodes if len(e.attempts) > 1).attempts[0].verdict.feedback)

# %% [markdown]
# For the other control we play the game ourselves, all hands side by side: `judge` each answer, then let each hand
# that failed hear what was said to the next one. An episode is plain frozen data, so changing what was said is a
# function from an episode to an episode.

# %%
from labkit.players.base import Request


def told(episode, feedback):
    """The episode, as if the verifier had said something else of its last answer."""
    *before, last = episode.position.attempts
    last = replace(last, verdict=replace(last.verdict, feedback=feedback))
    return replace(episode, positions=(replace(episode.position, attempts=(*before, last)),))


def with_feedback_of_another(tasks, player):
    games, given = [start(task) for task in tasks], [()] * len(tasks)
    while live := [i for i, game in enumerate(games) if not game.done]:
        turns = [Request(games[i], given[i], key=(0, i)) for i in live]
        for i, answer in zip(live, player.answer(turns), strict=True):
            games[i], given[i] = judge(games[i], answer.text, answer.sample), (*given[i], answer)
        failed = [i for i in live if not games[i].done]
        said = [games[i].attempts[-1].verdict.feedback for i in failed]
        for i, feedback in zip(failed, said[1:] + said[:1], strict=True):
            games[i] = told(games[i], feedback)
    return games


tasks = [episode.task for episode in real.episodes]
swapped = with_feedback_of_another(tasks, player)

# %% [markdown]
# Fresh samples are five games of one attempt. We cut each list of answers where it succeeds, as the game would have:
# then every condition is the same kind of thing, a list of attempts for each hand.

# %%
once = [replace(task, attempts=1) for task in tasks]
keys = [(0,), *((0, sample) for sample in range(1, ATTEMPTS))]
samples = [sorted(play_many(once, player, key=key), key=lambda played: played.index) for key in keys]


def cut(attempts):
    """The attempts up to the first success."""
    won = next((n for n, attempt in enumerate(attempts, 1) if attempt.verdict.success), len(attempts))
    return attempts[:won]


fresh = [cut([one[hand].episode.attempts[0] for one in samples]) for hand in range(HANDS)]
conditions = {
    "feedback": [e.attempts for e in real.episodes],
    "bare “Wrong.”": [e.attempts for e in bare.episodes],
    "another's feedback": [e.attempts for e in swapped],
    "fresh samples": fresh,
}
assert len({tuple(tries[0].answer for tries in hands) for hands in conditions.values()}) == 1

# %% [markdown]
# One more line for comparison: the same model with feedback, but **greedy**: always the likeliest token (temperature
# 0), as models are usually evaluated.

# %%
greedy = load("tiny:gp-l/init", max_new_tokens=64)
likeliest = evaluate(greedy, "gp-l", "id", split="dev", episodes=HANDS, attempts=ATTEMPTS)
conditions["greedy, with feedback"] = [e.attempts for e in likeliest.episodes]

# %%
import plotly.graph_objects as go

from labkit.evaluation.metrics import Trials, mean, share
from labkit.views.palette import OTHERS


def within(hands, k):
    return share(Trials(any(a.verdict.success for a in tries[:k])) for tries in hands)


COLOURS = ("#000000", *OTHERS)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
figure = go.Figure(layout={
    "title": f"Success within k answers, {HANDS} hands, 95% intervals",
    "xaxis": {"title": "answers", "dtick": 1},
    "yaxis": {"title": "success", "tickformat": ".0%", "rangemode": "tozero"},
    "template": "plotly_white", "height": 430, "margin": {"t": 50},
})
for number, (name, hands) in enumerate(conditions.items()):
    found = [within(hands, k) for k in range(1, ATTEMPTS + 1)]
    value = [f.value for f in found]
    spread = {"array": [f.ci95[1] - f.value for f in found], "arrayminus": [f.value - f.ci95[0] for f in found]}
    place = [k + 0.05 * (number - 2) for k in range(1, ATTEMPTS + 1)]
    look = {"color": COLOURS[number], "dash": DASHES[number]}
    figure.add_scatter(x=place, y=value, name=name, error_y=spread | {"thickness": 1}, line=look)
figure

# %% [markdown]
# The intervals overlap, but that is not the test: all conditions met the *same hands*, so luck with the hands
# cancels in the **difference**, hand by hand.

# %%
def difference(one, other, k=ATTEMPTS):
    """Mean over hands of success in one condition minus success in the other."""
    won = [[any(a.verdict.success for a in tries[:k]) for tries in hands] for hands in (one, other)]
    return mean([float(a) - float(b) for a, b in zip(*won, strict=True)])


def in_words(estimate):
    low, high = estimate.ci95
    return VERDICTS[0] if low > 0 else VERDICTS[2] if high < 0 else VERDICTS[1]


for name in list(conditions)[1:]:
    change = difference(conditions["feedback"], conditions[name])
    low, high = change.ci95
    print(f"feedback − {name:21} {change.value:+6.1%}  95% [{low:+6.1%}, {high:+6.1%}]  {in_words(change)}")

# %%
reveal("revision.bare", in_words(difference(conditions["feedback"], conditions["bare “Wrong.”"])))
reveal("revision.fresh", in_words(difference(conditions["feedback"], conditions["fresh samples"])))

# %% [markdown]
# Read the first three lines as a ladder. *Feedback − another's feedback* is the worth of **true** sentences over
# false ones; *feedback − bare* of sentences over a mere "no"; *feedback − fresh samples* of the whole dialogue over
# asking five times. "No difference can be seen" is a statement about this many hands: the interval says how large a
# difference it leaves open.
#
# Where *feedback − fresh samples* is not clear of zero, a curve that rises with the attempts shows no revision, taken
# alone: it is what five lottery tickets do. For a model that was never rewarded for using feedback, that should not
# surprise.
#
# ## The same wrong answer again
#
# One thing that feedback should prevent is an answer that has just been called wrong. Two formulas are the same here
# if they differ in order and brackets only.

# %%
from labkit.envs.general_points.verifier import read


def repeats(tries):
    """Of the answers after the first: how many repeat an earlier one."""
    formulas = [read(attempt.answer).canonical or attempt.answer for attempt in tries]
    return Trials(sum(f in formulas[:n] for n, f in enumerate(formulas) if n), len(formulas) - 1)


for name, hands in conditions.items():
    again = share(map(repeats, hands))
    low, high = again.ci95
    print(f"{name:21} {again.value:6.1%} of later answers repeat   95% [{low:5.1%}, {high:5.1%}]   n = {again.n}")

# %% [markdown]
# The answers of one hand hang together, so these intervals are worked out over hands, not over answers. *Fresh
# samples* say how often chance alone repeats. *Greedy* shows why the other conditions sample: a deterministic player
# can only change its mind if the dialogue changes it.
#
# **Exercise 2.** The same idea for success. You get, for each hand, the list of its verdicts (`True` for a right
# answer, cut at the first). Return the success within 1, 2, …, k attempts.

# %% tags=["exercise"]
def success_within(hands, k):
    """A list of k shares; hands is a list of lists such as [False, False, True]."""
    raise NotImplementedError("your turn")


# %%
check("sequential_revision.success_within", success_within)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Of `[False, False, True]`, the first two entries hold no success, the first three do.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def success_within(hands, k):
#     """A list of k shares; hands is a list of lists such as [False, False, True]."""
#     return [sum(any(tries[:n]) for tries in hands) / len(hands) for n in range(1, k + 1)]
# ```
#
# Dividing by the hands *that are still open* instead gives another number: the success of the n-th attempt among
# those who needed one. It falls, since the easy hands have left.
#
# </details>

# %% [markdown]
# ## pass@k
#
# Independent samples are a common yardstick, under the name **pass@k**: the probability that at least one of *k*
# samples is right. With *n* ≥ *k* samples of a task, *c* of them right, one need not throw any away: average over all
# ways to choose *k* of the *n* (Chen et al. 2021, [arXiv 2107.03374](https://arxiv.org/abs/2107.03374)).
#
# **Exercise 3.** Write this estimator: the probability that *k* samples, drawn from the *n* without putting back,
# hold at least one of the *c* right ones.

# %% tags=["exercise"]
def pass_at_k(n, c, k):
    """Probability that k of n samples, c of them right, hold a right one."""
    raise NotImplementedError("your turn")


# %%
check("sequential_revision.pass_at_k", pass_at_k)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Count the ways to choose only wrong ones. `math.comb(a, b)` is 0 where b > a.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from math import comb
#
#
# def pass_at_k(n, c, k):
#     """Probability that k of n samples, c of them right, hold a right one."""
#     return 1 - comb(n - c, k) / comb(n, k)
# ```
#
# The tempting 1 − (1 − c/n)^k draws *with* putting back and comes out too low: with one right of two, it gives 3/4 for
# k = 2, though both samples are looked at.
#
# </details>

# %%
from math import comb

right = [sum(one[hand].episode.success for one in samples) for hand in range(HANDS)]
print(" k   pass@k, all ways to choose      revision with feedback")
for k in range(1, ATTEMPTS + 1):
    passed = mean([1 - comb(ATTEMPTS - c, k) / comb(ATTEMPTS, k) for c in right])
    revised = within(conditions["feedback"], k)
    spans = [f"{f.value:6.1%}  [{f.ci95[0]:5.1%}, {f.ci95[1]:5.1%}]" for f in (passed, revised)]
    print(f"{k:2}   {spans[0]:30} {spans[1]}")

# %% [markdown]
# **Equal answers are not equal cost.** A dialogue is read again and again as it grows; a fresh sample reads the prompt
# only. (With the keys and values of earlier tokens kept in memory, "read" costs less than "computed anew", but the
# memory is needed.)

# %%
for name, hands in conditions.items():
    used = [attempt.sample for tries in hands for attempt in tries]
    written, seen = (sum(getattr(s, what) for s in used) / HANDS for what in ("tokens", "prompt_tokens"))
    print(f"{name:21} {len(used) / HANDS:.1f} answers a hand, {written:.0f} tokens written, {seen:.0f} read")

# %% [markdown]
# ## What it earns
#
# The **return** is what reinforcement learning will maximise: the sum of the rewards of all attempts, less one for
# running out of them. It counts *how* attempts fail, not only whether one succeeds.

# %%
from labkit.envs.general_points.verifier import REWARD


def earned(tries):
    solved = tries[-1].verdict.success
    return sum(a.verdict.reward for a in tries) + (0 if solved else REWARD["exhausted"])


for name, hands in conditions.items():
    gain = mean([earned(tries) for tries in hands])
    low, high = gain.ci95
    print(f"{name:21} mean return {gain.value:+5.2f}   95% [{low:+5.2f}, {high:+5.2f}]   n = {gain.n} hands")

# %% [markdown]
# **Exercise 4.** A player is right with probability `p` in each attempt, whatever happened before; a wrong answer
# costs 1 (`wrong_value`), a right one earns 5, and running out of `attempts` costs 1 more. What is the expected
# return?

# %% tags=["exercise"]
def expected_return(p, attempts):
    """Expected sum of rewards of an episode."""
    raise NotImplementedError("your turn")


# %%
check("sequential_revision.expected_return", expected_return)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Attempt n takes place with probability (1 − p)^(n − 1). What does it earn on average, if it takes place?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def expected_return(p, attempts):
#     """Expected sum of rewards of an episode."""
#     wrong = 1 - p
#     reached = sum(wrong**n for n in range(attempts))
#     return reached * (5 * p - wrong) - wrong**attempts
# ```
#
# One attempt more takes place with probability (1 − p)^n, earns 5p − (1 − p) there and saves the penalty with
# probability p: it is worth (1 − p)^n (7p − 1). So more attempts pay where p > 1/7; under this table a player that is
# right one time in ten would rather not try again.
#
# </details>

# %% [markdown]
# ## What would change my mind
#
# * The tiny model was fine-tuned on single answers. A model trained *on* revision, by RL with five attempts or by
#   SFT on dialogues with mistakes, may use what is said: run these controls on it. `player` is all that has to be
#   changed.
# * Another hand's feedback is often half true ("the formula equals 22, not 24" fits many wrong answers). A sharper
#   control would contradict what is the case.
# * At other temperatures the balance differs: independent samples gain from noise, a dialogue suffers from it.
# * A difference that these hands do not show can exist: four times the hands halve the interval.
#
# **Next**
# * [05_ppo_by_hand](05_ppo_by_hand.ipynb): how rewards of several attempts become a training signal;
#   [09_revision_scaling](09_revision_scaling.ipynb): more attempts in training.
# * `labkit eval gp-l --player tiny:gp-l/init --attempts 10` gives it ten.
# * Read: section 3 and figure 10 of the paper; *Large language models cannot self-correct reasoning yet* ([arXiv
#   2310.01798](https://arxiv.org/abs/2310.01798)); *Training language models to self-correct via reinforcement
#   learning* ([arXiv 2409.12917](https://arxiv.org/abs/2409.12917)); *Large language monkeys* ([arXiv
#   2407.21787](https://arxiv.org/abs/2407.21787)), on repeated sampling.

# %%
import platform
from importlib.metadata import version

print(f"{HANDS} hands of suite id, split dev, seed 0; noise keyed by (0, hand, attempt)")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
