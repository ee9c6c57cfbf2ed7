# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A tour of the lab
#
# **By the end you will have seen** a language model play a card game, a verifier judge it, and one changed word of
# the rules turn a right answer into a wrong one.
#
# *For* anyone with a first course in machine learning. *Time*: 20 minutes; the cells run in a minute on a laptop.
#
# The game is **GeneralPoints** (from *SFT Memorizes, RL Generalizes*, [arXiv
# 2501.17161](https://arxiv.org/abs/2501.17161)): four cards, one formula, and the result has to be 24.

# %%
from labkit.envs import game, judge, prompt, start

gp = game("gp-l")  # GeneralPoints, the cells in words ("l" for language)
task = gp.task(hand=["3", "3", "8", "8"])
gp.draw({"cards": task.deal["cards"], "size": 480})

# %% [markdown]
# ## A task is dealt, a prompt is sent
#
# `start` opens an **episode**: the record of the whole dialogue about this task. `prompt` gives the messages that the
# player gets next.

# %%
episode = start(task)
print(prompt(episode)[0].text)

# %% [markdown]
# ## You answer, the verifier judges
#
# An answer is text. The **verifier** reads it, checks it exactly and returns a **verdict**: a category, a reward and
# a sentence of feedback. Here is an answer that is almost right.

# %%
from labkit.views.widgets.episodes import EpisodeViewer

episode = judge(episode, '{"cards": ["3","3","8","8"], "number": [3,3,8,8], "formula": "8*3*(8/8)=24"}')
EpisodeViewer([episode]).static()

# %% [markdown]
# The feedback goes back into the dialogue, and the player tries again, up to five times. The paper calls this
# **sequential revision**: every wrong answer stays in view.

# %%
for message in prompt(episode):
    print(f"[{message.role}] {message.text}\n")

# %% [markdown]
# **Exercise 1.** Write a formula that is right: each of 3, 3, 8 and 8 once, and the result is 24. It exists; a fraction
# helps.

# %% tags=["exercise"]
attempt = None  # <- a formula in quotes

# %%
from labkit.exercises import check

check("tour.formula", attempt)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Divide 8 by something small. What is 3 − 8/3?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# attempt = "8/(3-8/3)"
# ```
#
# The verifier computes with fractions, so this is exactly 24. With floating-point numbers it is 23.999999999999989, and
# a right answer would be called wrong.
#
# </details>

# %% [markdown]
# ## A model plays
#
# `tiny:gp-l/init` is a language model with 1.2 million parameters that was trained for this lab and comes with it. Its
# pre-training taught it to search: before the formula it writes a **thought**, in which it joins two numbers at a time
# and says what is left. A try that misses 24 ends in `no`. A few steps of supervised fine-tuning (**SFT**) have set it
# this task.
#
# Its answers are **sampled** (*temperature* 0.6): each token is drawn at random, likely ones more often. Always taking
# the likeliest token (temperature 0) suits this player less: it would make the tries that missed again.

# %%
from labkit.play import play
from labkit.players.registry import load

player = load("tiny:gp-l/init", temperature=0.6)
hand = gp.task(hand=["K", "6", "2", "4"])  # J, Q and K count as 10
EpisodeViewer([play(hand, player)]).static()

# %% [markdown]
# Open *Thought* in an answer: each line is a try, and the tries that missed are grey. The verifier judges the formula
# and ignores the thought.
#
# ## One word changes
#
# Under a new rule J counts as 11, Q as 12 and K as 13. The model has been fine-tuned on the old rule only, and the
# prompt states the new one.

# %%
from labkit.views.widgets.predict import predict, reveal

kings = {"13": "13, as the prompt says", "10": "10, as it was trained", None: "something else"}
predict("As what will it count the king?", list(kings.values()), key="tour.king")

# %%
changed = gp.task(hand=["K", "6", "2", "4"], faces="eleven-twelve-thirteen")
played = play(changed, player)
print(played.position.prompt, "\n")
EpisodeViewer([played]).static()

# %%
number = played.attempts[0].fields.get("number")
reveal("tour.king", kings.get(number[0] if number else None, kings[None]))

# %% [markdown]
# Look at *number* in each attempt, and at the line that judges the same answer **under the other rule**.
#
# ## The same cards, two rules
#
# One hand proves nothing. This is the experiment of the lab in one figure. Three players got the *same* hands twice,
# once under each rule: *Init*, where training starts; *SFT*, which learnt from an expert's answers; and *RL*
# (reinforcement learning), which learnt from the verifier's rewards. None of them was trained on these hands, and none
# was trained under the changed rule.

# %%
KEEPS = ["Init", "SFT", "RL"]
predict("Which player solves most hands under the changed rule?", KEEPS, key="tour.keeps")

# %%
from labkit.views.widgets.same_cards import SameCards

cards = SameCards("../results/same-cards.json")
print(cards.table())
cards.figure()

# %%
reveal("tour.keeps", max((line for line in cards.lines() if line.name in KEEPS), key=lambda line: line.changed.value).name)

# %% [markdown]
# **Result.** On hands that it was not trained on, RL solves 67.0% under the changed rule, Init 47.4% and SFT 4.8%. On
# hands that it *was* trained on, SFT solves 88.7% under the trained rule, and 1.7% of the same cards when one sentence
# changes. It remembers answers; it does not find them.
#
# (The same cards can be easier under one rule than under the other. So compare the players, not a slope with zero.)
#
# With a live kernel, choose a hand and press the switch: the cards stay, one sentence of the prompt changes. The tally
# at the right counts all hands: solved under both rules (*kept*), under the old one only (*lost*), under the new one
# only (*won*).

# %%
cards.show()

# %% [markdown]
# ## Look at the failures
#
# Every episode is a record that can be stored, filtered and shown. With a live kernel this is a viewer: choose a
# verdict and read the episodes behind it.

# %%
from labkit.evaluation import evaluate

EpisodeViewer(evaluate(player, "gp-l", "rule-ood", split="dev", episodes=30).episodes)

# %% [markdown]
# ## What would change my mind
#
# A tiny model searches in the one way that its pre-training taught: its answers show how *it* was trained, not what a
# model of eleven billion parameters would do. The questions carry over; the numbers do not.
#
# **Next**
# * `make app` plays the same game in the browser.
# * `labkit eval gp-l --player tiny:gp-l/init --temperature 0.6 --suite id,rule-ood --episodes all` plays every hand.
# * Read: section 3 (sequential revision) and section 4.1 (GeneralPoints) of the paper.

# %%
import platform
from importlib.metadata import version

print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
