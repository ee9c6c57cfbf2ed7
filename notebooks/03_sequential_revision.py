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
# **By the end you will have shown** how much success a model gains from one attempt to five, and, by three controls,
# how much of the gain comes from the verifier's *feedback* and how much from trying again.
#
# *For* anyone who has seen [the tour](00_tour.ipynb); the game and its verdicts are in
# [notebook 01](01_general_points.ipynb). *Time*: 40 minutes; all cells together run in a few minutes on two CPU
# cores, offline. *You will be able to*
#
# * write down the messages that a model reads before its third attempt;
# * estimate success within *k* attempts, and **pass@k** from independent samples, with intervals;
# * design a control for "the model uses the feedback";
# * compare the cost of equal numbers of answers, in tokens and in reward.
#
# **Sequential revision** is how *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161),
# section 3) lets a model act: it answers, the verifier says what is wrong, both are appended to the dialogue, and the
# model answers again, at most five times.

# %% tags=["setup"]
import os
from dataclasses import replace
from itertools import islice

from labkit.envs import game, judge, prompt, start
from labkit.exercises import check, use

FAST = os.environ.get("LABKIT_FAST") == "1"
HANDS, ATTEMPTS = (16 if FAST else 100), 5
gp = game("gp-l")

# %%
from labkit.play import play_many
from labkit.players.registry import load
from labkit.views.widgets.episodes import EpisodeViewer

player = load("tiny:gp-l/init", temperature=0.6)
first = [played.episode for played in play_many(islice(gp.tasks("id", "dev"), 24), player)]
shown = min(first, key=lambda e: (not e.success, abs(len(e.attempts) - 3), e.task.index))
EpisodeViewer([shown, *(e for e in first if e is not shown)])

# %% [markdown]
# One card is one attempt: the answer, the verdict, and the feedback in quotation marks. The player is
# `tiny:gp-l/init`, a small language model that comes with the lab. Before its formula it writes a *thought*, which you
# can open: a try a line, misses in grey. It **samples**: each token is drawn from its distribution, sharpened a little
# (*temperature* 0.6), so that a second attempt can differ from the first.
#
# With a live kernel, page through all 24: which feedback is followed by a better answer, which by the same one?

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
    """The messages that a model gets after these answers; answers and feedback are lists of equal length."""
    raise NotImplementedError("your turn")


# %%
check("sequential_revision.dialogue", dialogue)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which role has the feedback? A chat has only two.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def dialogue(first_prompt, answers, feedback):
#     """The messages that a model gets after these answers; answers and feedback are lists of equal length."""
#     turns = [("user", first_prompt)]
#     for answer, reply in zip(answers, feedback, strict=True):
#         turns += [("assistant", answer), ("user", reply)]
#     return turns
# ```
#
# Nothing is removed: a wrong answer stays in the context, as an example of what to avoid or as something to copy.
#
# </details>

# %% [markdown]
# ## Success within 1 to 5 attempts
#
# An attempt does not depend on how many may follow, so an evaluation with five attempts contains those with fewer. The
# hands are from the `dev` split, held out from the model's fine-tuning.

# %%
from labkit.evaluation import evaluate

real = evaluate(player, "gp-l", "id", split="dev", episodes=HANDS, attempts=ATTEMPTS)
for k, estimate in real.details["within"].items():
    low, high = estimate.ci95
    print(f"within {k}: {estimate.value:5.1%}   95% [{low:5.1%}, {high:5.1%}]   n = {estimate.n} hands")

# %% [markdown]
# **Result.** Success rises from 14.0% within 1 answer to 60.0% within 5, of 100 hands.
#
# ## Why does it grow?
#
# Success within *k* never falls with *k*. The question is **why** it grows. To find out, remove one possible cause
# after another, and see whether the gain disappears:
#
# | condition | earlier answers in the context | feedback to them |
# |---|---|---|
# | *feedback* | yes | the verifier's sentence: which number is unused, what the formula equals |
# | *bare "Wrong."* | yes | "Wrong. Try again." |
# | *another's feedback* | yes | the verifier's sentence about *another* hand's answer |
# | *fresh samples* | no | nothing: five independent answers to the first prompt |
#
# The first attempts are the same in all conditions, token for token: sampling noise depends on hand and attempt only.

# %%
from labkit.views.widgets.predict import predict, reveal

VERDICTS = ["feedback is better", "no difference can be seen", "feedback is worse"]
predict("Five attempts: the verifier's feedback or a bare “Wrong.”?", VERDICTS, key="revision.bare")

# %%
predict("Five attempts with feedback, or five fresh samples?", VERDICTS, key="revision.fresh")

# %% [markdown]
# The bare "Wrong." needs no new code: the verifier's sentences are **templates** of the task, which can be replaced.

# %%
BARE = dict.fromkeys(("unreadable", "illegal_formula", "wrong_numbers", "wrong_value"), "Wrong.")
bare = evaluate(player, "gp-l", "id", split="dev", episodes=HANDS, attempts=ATTEMPTS, prompts=BARE)
print(next(e for e in bare.episodes if len(e.attempts) > 1).attempts[0].verdict.feedback)

# %% [markdown]
# ### The loop of revision
#
# For the other control we play the game ourselves, all hands side by side, and give each failed hand the feedback of
# another one.
#
# **Exercise 2.** Write the loop. `episodes` are opened hands. `answer(open)` takes a list of open episodes and gives a
# reply for each; `judge(episode, reply.text, reply.sample)` returns the episode with the reply and its verdict.
# `episode.done` says whether it has ended. If `change` is given, call it after each round with the episodes that failed
# and are still open: it returns what takes their places.

# %% tags=["exercise"]
from labkit.envs import judge


def revise(episodes, answer, change=None):
    """Play all episodes to their ends; returns them in the same order."""
    raise NotImplementedError("your turn")


# %%
revise = use("sequential_revision.revise", revise)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Keep a list of all episodes, and the places of those that are still open. An episode is never changed in place: put
# the new one where the old one was.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from labkit.envs import judge
#
#
# def revise(episodes, answer, change=None):
#     """Play all episodes to their ends; returns them in the same order."""
#     episodes = list(episodes)
#     while live := [i for i, episode in enumerate(episodes) if not episode.done]:
#         for i, reply in zip(live, answer([episodes[i] for i in live]), strict=True):
#             episodes[i] = judge(episodes[i], reply.text, reply.sample)
#         failed = [i for i in live if not episodes[i].done]
#         if change and failed:
#             for i, changed in zip(failed, change([episodes[i] for i in failed]), strict=True):
#                 episodes[i] = changed
#     return episodes
# ```
#
# This is all that sequential revision is. The model's part is one line: the next answer to a longer dialogue.
#
# </details>

# %%
from labkit.players.base import Request


def replies_of(player, tasks):
    """The player's replies to open episodes; its noise depends on the hand and the attempt only."""
    place, given = {task.id: i for i, task in enumerate(tasks)}, {task.id: () for task in tasks}

    def answer(open):
        ids = [episode.task.id for episode in open]
        requests = [Request(episode, given[i], key=(0, place[i])) for episode, i in zip(open, ids, strict=True)]
        replies = player.answer(requests)
        given.update({i: (*given[i], reply) for i, reply in zip(ids, replies, strict=True)})
        return replies

    return answer


def with_feedback(episode, feedback):
    """The episode with other feedback to its last answer."""
    *before, last = episode.position.attempts
    last = replace(last, verdict=replace(last.verdict, feedback=feedback))
    return replace(episode, positions=(replace(episode.position, attempts=(*before, last)),))


def swapped_among(failed):
    """Each failed episode with the feedback of the next one."""
    replies = [episode.attempts[-1].verdict.feedback for episode in failed]
    return [with_feedback(e, reply) for e, reply in zip(failed, replies[1:] + replies[:1], strict=True)]


# %%
tasks = [episode.task for episode in real.episodes]
again = revise([start(task) for task in tasks], replies_of(player, tasks))
assert [[a.answer for a in e.attempts] for e in again] == [[a.answer for a in e.attempts] for e in real.episodes]
print(f"your loop gives the library's {sum(len(e.attempts) for e in again)} answers to {HANDS} hands")
swapped = revise([start(task) for task in tasks], replies_of(player, tasks), swapped_among)

# %% [markdown]
# Fresh samples are five episodes of one attempt. We cut each list of answers at its first success, where an episode
# would end. Then every condition has a list of attempts for each hand.

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
greedy = load("tiny:gp-l/init")
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
    rates = [within(hands, k) for k in range(1, ATTEMPTS + 1)]
    value = [r.value for r in rates]
    spread = {"array": [r.ci95[1] - r.value for r in rates], "arrayminus": [r.value - r.ci95[0] for r in rates]}
    x = [k + 0.05 * (number - 2) for k in range(1, ATTEMPTS + 1)]
    style = {"color": COLOURS[number], "dash": DASHES[number]}
    figure.add_scatter(x=x, y=value, name=name, error_y=spread | {"thickness": 1}, line=style)
figure

# %% [markdown]
# Overlapping intervals are not the test: all conditions played the *same hands*, so the luck of the hands cancels in
# the paired **difference**.

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
# **Result.** The verifier's feedback beats a bare "Wrong." by 11.0 points [+1.0, +21.0]. But another hand's feedback
# does as well: the difference is 0.0 points [-5.6, +5.6]. So the gain does not come from what the sentence says about
# *this* answer. Nor is the dialogue clearly better than five fresh samples: +4.0 points [-5.2, +13.2]. Greedy answers
# in the same dialogue solve 26.0 points fewer.
#
# The first three lines ask different questions. *Feedback − another's feedback* is the gain from **true** sentences
# over false ones. *Feedback − bare* is the gain from sentences over a mere "no". *Feedback − fresh samples* is the gain
# from the whole dialogue over five independent answers. "No difference can be seen" holds for this number of hands
# only: the interval shows how large a difference is still possible.
#
# Where the interval of *feedback − fresh samples* contains zero, a curve that rises with the attempts does not show
# revision: five independent answers rise too. This model met dialogues of one to five wrong answers in its
# pre-training, but it was never rewarded for using feedback.
#
# ## The same wrong answer again
#
# Feedback should at least prevent an answer that was just called wrong. Two formulas count as the same here if they
# differ only in order and brackets.

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
# **Result.** With feedback, 16.1% of later answers repeat an earlier one; of independent answers 12.5% do, so nothing
# shows that the dialogue prevents repeats. Greedy repeats in 70.7%.
#
# The answers to one hand are correlated, so these intervals are computed over hands, not over answers. *Fresh samples*
# show how often an answer repeats by chance. *Greedy* shows why the other conditions sample: without sampling, only the
# longer dialogue can change the answer.
#
# **Exercise 3.** The same idea for success. You get, for each hand, the list of its verdicts (`True` for a right
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
# Dividing by the hands *that are still open* gives another number: the success rate of the n-th attempt among the hands
# that reached it. It falls, since the easy hands are solved by then.
#
# </details>

# %% [markdown]
# ## pass@k
#
# Independent samples are commonly measured by **pass@k**: the probability that at least one of *k* samples is right.
# With *n* ≥ *k* samples of a task, *c* of them right, all samples can be used: average over all ways to choose *k* of
# the *n* (Chen et al. 2021, [arXiv 2107.03374](https://arxiv.org/abs/2107.03374)).
#
# **Exercise 4.** Write this estimator: the probability that *k* samples, drawn from the *n* without replacement,
# contain at least one of the *c* right ones.

# %% tags=["exercise"]
def pass_at_k(n, c, k):
    """Probability that k of n samples, c of them right, contain a right one."""
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
#     """Probability that k of n samples, c of them right, contain a right one."""
#     return 1 - comb(n - c, k) / comb(n, k)
# ```
#
# The tempting 1 − (1 − c/n)^k draws *with* replacement and is too low: with one right of two, it gives 3/4 for k = 2,
# although both samples are used.
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
# **Equal answers are not equal cost.** A dialogue is read again at each attempt; a fresh sample reads the prompt only.
# (A cache of keys and values makes reading cheaper, but it needs memory.)

# %%
for name, hands in conditions.items():
    used = [attempt.sample for tries in hands for attempt in tries]
    written, seen = (sum(getattr(s, what) for s in used) / HANDS for what in ("tokens", "prompt_tokens"))
    print(f"{name:21} {len(used) / HANDS:.1f} answers a hand, {written:.0f} tokens written, {seen:.0f} read")

# %% [markdown]
# ## What it earns
#
# Reinforcement learning maximises the **return**: the sum of the rewards of all attempts, minus one if they run out. It
# depends on *how* attempts fail, not only on whether one succeeds.

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
# **Result.** An episode with feedback earns -0.43 on average, one with a bare "Wrong." -1.70, a greedy one -2.76.
#
# **Exercise 5.** A player is right with probability `p` in each attempt, whatever happened before; a wrong answer
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
# One more attempt takes place with probability (1 − p)^n. On average it earns 5p − (1 − p), and saves the penalty with
# probability p, so it is worth (1 − p)^n (7p − 1). So more attempts pay where p > 1/7: with these rewards, a player
# that is right one time in ten loses by trying again.
#
# </details>

# %% [markdown]
# ## What would change my mind
#
# * The tiny model was fine-tuned on single answers. A model that was trained *on* revision, by RL with five attempts
#   or by SFT on dialogues with mistakes, may use the feedback more: run these controls on it (`tiny:gp-l/rl` is one).
#   Only `player` has to change.
# * Another hand's feedback is often half true ("the formula equals 22, not 24" fits many wrong answers). A sharper
#   control would give feedback that is always false.
# * At other temperatures the balance differs: independent samples gain from noise, a dialogue suffers from it.
# * A difference that these hands do not show can exist: four times the hands halve the interval.
#
# **Next**
# * [05_ppo_by_hand](05_ppo_by_hand.ipynb): how rewards of several attempts become a training signal;
#   [09_revision_scaling](09_revision_scaling.ipynb): more attempts in training.
# * `labkit eval gp-l --player tiny:gp-l/init --temperature 0.6 --attempts 10` gives it ten.
# * Read: section 3 and figure 10 of the paper; *Large language models cannot self-correct reasoning yet* ([arXiv
#   2310.01798](https://arxiv.org/abs/2310.01798)); *Training language models to self-correct via reinforcement
#   learning* ([arXiv 2409.12917](https://arxiv.org/abs/2409.12917)); *Large language monkeys* ([arXiv
#   2407.21787](https://arxiv.org/abs/2407.21787)), on repeated sampling.

# %%
import platform
from importlib.metadata import version

print(f"{HANDS} hands of suite id, split dev, seed 0; temperature 0.6; noise keyed by (0, hand, attempt)")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
