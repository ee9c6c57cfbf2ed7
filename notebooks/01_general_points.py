# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # GeneralPoints: four cards, one rule, one verifier
#
# **By the end you will have shown that** a score under the trained rule cannot tell a player who reads the rule from
# one who remembers the answers, and that one changed sentence of the prompt can.
#
# *For* anyone with a first course in machine learning; [the tour](00_tour.ipynb) helps. *Time*: 40 minutes; all cells
# together run in about a minute on two CPU cores, offline. *You will be able to*
#
# * write a **verifier**, and say which of six **verdicts** an answer gets, and why;
# * work out the **return** of an episode from the reward table;
# * count, exactly, which hands can be solved under which rule;
# * place a model between the worst and the best player there can be, with an interval on every rate.
#
# The game is the first task of *SFT Memorizes, RL Generalizes* ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)):
# four cards, and a formula that uses the number of each card once and makes 24.

# %% tags=["setup"]
import os
import re

from labkit.envs import game, judge, prompt, start
from labkit.exercises import check, use

FAST = os.environ.get("LABKIT_FAST") == "1"
gp = game("gp-l")  # the cell in words; "gp-vl" is the same game in pictures
task = gp.task(hand=["K", "6", "2", "4"])

# %%
gp.draw({"cards": task.deal["cards"], "size": 480}).crop((0, 145, 480, 335))

# %% [markdown]
# A counts as 1, and 2 to 10 as what they say. What J, Q and K count as is **the rule**, and the prompt states it:
#
# | suite | rule | |
# |---|---|---|
# | `id` (*in-distribution*) | J = Q = K = 10 | models are fine-tuned on this one only |
# | `rule-ood` (*out of distribution*) | J = 11, Q = 12, K = 13 | only hands with a face card: else the rule is idle |
#
# Here is the whole prompt, and what differs in it under the other rule.

# %%
changed = gp.task(hand=["K", "6", "2", "4"], faces="eleven-twelve-thirteen")
before, after = (prompt(start(t))[0].text for t in (task, changed))
print(before)
print("\nUnder the other rule:")
for old, new in zip(*(re.split(r"(?<=\.)\s", text) for text in (before, after)), strict=True):
    if old != new:
        print(f"  - {old}\n  + {new}")

# %% [markdown]
# ## The verifier
#
# An answer is text with a JSON object in it. The **verifier** reads it and makes its checks in a fixed order; the
# first check that fails gives the verdict's *category*. Each answer below fails another check. **Change them**, and see
# the verdict change: single quotes, prose around the object, no `=24` at the end, `×` for `*`.

# %%
hand = '"cards": ["K","6","2","4"], "number": [10,6,2,4]'
answers = [
    "I think the answer is ten times two plus four.",
    f'{{{hand}, "formula": "(10*2+4*6=24"}}',
    f'{{{hand}, "formula": "6*4=24"}}',
    f'{{{hand}, "formula": "10+6+2+4=24"}}',
    f"Of course! {{{hand}, 'formula': '(10-4)*(6-2)=24'}}",
]
for text in answers:
    verdict = judge(start(task), text).attempts[-1].verdict
    print(f"{text}\n  {verdict.category:16} {verdict.reward:+.1f}   {verdict.feedback}\n")

# %% [markdown]
# Arithmetic is exact (fractions, no floats), no answer is ever run as code, and no text makes the verifier fail:
# unreadable text gets a verdict too. The sixth category, `wrong_cards`, exists only where the cards are seen in a
# picture: there the `cards` field is judged first, since an answer with the wrong cards cannot be right.

# %%
seen = start(game("gp-vl").task(hand=["K", "6", "2", "4"], picture={"size": 120}))
misread = '{"cards": ["Q","6","2","4"], "number": [10,6,2,4], "formula": "(10-4)*(6-2)=24"}'
verdict = judge(seen, misread).attempts[-1].verdict
print(f"{verdict.category}  {verdict.reward:+.1f}   {verdict.feedback}")

# %% [markdown]
# With a live kernel you can try answers of your own, under either rule. The card shows what the verifier found, and
# below it the verdict on the same answer **under the other rule**.

# %%
import ipywidgets as widgets

from labkit.views.widgets.episodes import EpisodeViewer
from labkit.views.widgets.live import show

rule = widgets.Dropdown(options=["ten", "eleven-twelve-thirteen"], description="Rule")
answer = widgets.Textarea(value=answers[3], description="Answer", layout={"width": "90%"})
card = widgets.HTML()


def show_card(_=None):
    hand = gp.task(hand=["K", "6", "2", "4"], faces=rule.value)
    card.value = EpisodeViewer([judge(start(hand), answer.value)]).static().data


rule.observe(show_card, "value")
answer.observe(show_card, "value")
show_card()
show(widgets.VBox([rule, answer, card]), {"text/html": card.value, "text/plain": "a form with a rule and an answer"})

# %% [markdown]
# **Exercise 1.** The same hand, K 6 2 4, but K counts as 13. Write a formula that makes 24, as text.

# %% tags=["exercise"]
formula = None

# %%
check("general_points.formula", formula)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Twice 13 is close to 24. How far off is it, and what do 6 and 4 make?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# formula = "13*2-6+4"
# ```
#
# Under the trained rule the same text is wrong for two reasons: no card counts as 13, and 10 is left out.
#
# </details>

# %% [markdown]
# ### Build the verifier
#
# **Exercise 2.** Write the verifier of formulas. It gets the text of a formula and the numbers as they count under the
# rule. It returns the first of the checks that fails, as the library does: `"illegal_formula"` (it is no formula of
# whole numbers with + − × ÷ and brackets), `"wrong_numbers"` (it does not use each number once), `"wrong_value"` (it
# does not make the target, or divides by zero); else `"correct"`. A formula may end in `=24`. (About twenty minutes.)
# Further down, your verifier judges a model's answers.

# %% tags=["exercise"]
def verify(formula, numbers, target=24):
    """The category of a formula: "illegal_formula", "wrong_numbers", "wrong_value" or "correct"."""
    raise NotImplementedError("your turn")


# %%
verify = use("general_points.verify", verify)

# %% [markdown]
# <details><summary>Hint</summary>
#
# `ast.parse(text, mode="eval")` makes a tree of a formula without running it, and `ast.walk` lists the parts of the
# tree. Never use `eval`: the text comes from a model.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import ast
# import operator
# from collections import Counter
# from fractions import Fraction
#
#
# def verify(formula, numbers, target=24):
#     """The category of a formula: "illegal_formula", "wrong_numbers", "wrong_value" or "correct"."""
#     operations = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
#     try:
#         tree = ast.parse(formula.partition("=")[0].strip(), mode="eval")
#     except SyntaxError:
#         return "illegal_formula"
#     parts = list(ast.walk(tree))
#     used = [part.value for part in parts if isinstance(part, ast.Constant)]
#     legal = (ast.Expression, ast.BinOp, ast.Constant, *operations)
#     if not all(isinstance(part, legal) for part in parts) or not all(type(number) is int for number in used):
#         return "illegal_formula"
#     if Counter(used) != Counter(numbers):
#         return "wrong_numbers"
#
#     def value(part):
#         if isinstance(part, ast.Constant):
#             return Fraction(part.value)
#         return operations[type(part.op)](value(part.left), value(part.right))
#
#     try:
#         return "correct" if value(tree.body) == target else "wrong_value"
#     except ZeroDivisionError:
#         return "wrong_value"
# ```
#
# The order of the checks matters: 3 × 8 makes 24, but it leaves two cards out. And values are fractions, since with
# floats 8/(3−8/3) is 23.999999999999989, and a right answer would be called wrong.
#
# </details>

# %%
for text in ("(10-4)*(6-2)=24", "10+6+2+4", "6*4", "(10*2+4*6"):
    print(f"{text:17} K counts as 10: {verify(text, [10, 6, 2, 4]):16} as 13: {verify(text, [13, 6, 2, 4])}")

# %% [markdown]
# ## What a verdict earns
#
# Rewards are the paper's (appendix A.3). A wrong answer is shown its feedback and tried again, five times at most
# ([notebook 03](03_sequential_revision.ipynb) is about that); if all are used up, the last one costs 1 more. The sum
# over the attempts is the **return** of the episode.

# %%
from labkit.envs.general_points.verifier import REWARD

for category, reward in REWARD.items():
    if category != "combine":
        print(f"{category:16} {reward:+.1f}")

# %% [markdown]
# **Exercise 3.** The categories of an episode's answers are given in order, such as `["wrong_value", "correct"]`.
# What is its return? `attempts` is how many were allowed.

# %% tags=["exercise"]
def episode_return(categories, attempts=5):
    """The sum of the rewards, and what it costs to run out of attempts."""
    raise NotImplementedError("your turn")


# %%
check("general_points.episode_return", episode_return)

# %% [markdown]
# <details><summary>Hint</summary>
#
# An episode is exhausted when as many answers as allowed were given and the last one is not `correct`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from labkit.envs.general_points.verifier import REWARD
#
#
# def episode_return(categories, attempts=5):
#     """The sum of the rewards, and what it costs to run out of attempts."""
#     total = sum(REWARD[category] for category in categories)
#     exhausted = len(categories) == attempts and categories[-1] != "correct"
#     return total + (REWARD["exhausted"] if exhausted else 0)
# ```
#
# The best return is +5, at the first attempt. Five unreadable answers make −16: a model that loses the format pays
# far more than one that miscalculates (−6).
#
# </details>

# %% [markdown]
# ## Which hands can be solved?
#
# Four of thirteen ranks make 1,820 hands, few enough to know everything. The solver finds every formula of a hand,
# each once up to order and brackets.

# %%
from labkit.envs.general_points import solver

for numbers in ((10, 6, 2, 4), (13, 6, 2, 4), (3, 3, 8, 8), (1, 1, 1, 1)):
    found = list(solver.solve(numbers))
    print(f"{str(numbers):15} {len(found):3} solutions   {', '.join(found[:4])}")

# %% [markdown]
# **Exercise 4.** Write a solver: can these numbers, each used once, make the target with + − × ÷? (About fifteen
# minutes.) Mind 3 3 8 8, which is solved by 8/(3−8/3): with floats that is 23.999…, so use `Fraction`.

# %% tags=["exercise"]
from fractions import Fraction


def can_make(numbers, target=24):
    """True if some formula of all the numbers equals the target; numbers is a list of whole numbers."""
    raise NotImplementedError("your turn")


# %%
check("general_points.can_make", can_make)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Take any two numbers, put the result of any operation on them in their place, and ask the same question of the
# shorter list. With one number left, compare it with the target.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from fractions import Fraction
# from itertools import permutations
#
#
# def can_make(numbers, target=24):
#     """True if some formula of all the numbers equals the target; numbers is a list of whole numbers."""
#     if len(numbers) == 1:
#         return numbers[0] == target
#     for i, j in permutations(range(len(numbers)), 2):
#         a, b = Fraction(numbers[i]), Fraction(numbers[j])
#         rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
#         results = {a + b, a - b, a * b} | ({a / b} if b else set())
#         if any(can_make([*rest, result], target) for result in results):
#             return True
#     return False
# ```
#
# Every formula has a last operation on two numbers that were dealt, read from the inside out: so every formula is
# found. The library's solver goes the other way and meets in the middle; it is several hundred times as fast.
#
# </details>

# %% [markdown]
# Now all hands, under both rules: the old (J, Q, K = 10) and the new (11, 12, 13).

# %%
from labkit.views.widgets.predict import predict, reveal

ABOUT = {"one in ten": 1 / 10, "one third": 1 / 3, "two thirds": 2 / 3, "nearly all": 0.95}
question = "Of the hands with a face card that the new rule can solve, how many can the old one solve too?"
predict(question, list(ABOUT), key="gp.both")

# %%
from collections import Counter
from itertools import combinations_with_replacement

from labkit.envs.general_points.cards import RANKS, numbers_of

counts = Counter()
for ranks in combinations_with_replacement(RANKS, 4):
    old, new = (solver.solvable(numbers_of(ranks, faces)) for faces in ("ten", "eleven-twelve-thirteen"))
    counts[any(rank in "JQK" for rank in ranks), old, new] += 1
for face in (False, True):
    print("with a face card" if face else "without (both rules say the same)")
    for old, new in ((True, True), (True, False), (False, True), (False, False)):
        if n := counts[face, old, new]:
            print(f"  {n:5,} hands   old rule {'yes' if old else 'no':3}   new rule {'yes' if new else 'no'}")
both = counts[True, True, True] / (counts[True, True, True] + counts[True, False, True])
print(f"\nsolvable under the old rule, of those solvable under the new: {both:.0%}")
reveal("gp.both", min(ABOUT, key=lambda name: abs(ABOUT[name] - both)))

# %% [markdown]
# **Result.** 529 hands can be solved under both rules: 66% of those that the new rule can solve. So most hands of the
# changed game *have* an answer under the old rule, and a player may keep giving it. It is now
# wrong: with a face card in the hand, a formula that uses the old numbers does not use the new ones.
#
# The next figure is about how hard hands are: how many solutions they have.

# %%
import plotly.graph_objects as go

from labkit.views.palette import OTHERS

EDGES = [0, 1, 2, 3, 5, 10, 10_000]
labels = ["none", "1", "2", "3–4", "5–9", "10 or more"]
faced = [r for r in combinations_with_replacement(RANKS, 4) if any(rank in "JQK" for rank in r)]
figure = go.Figure(layout={
    "title": f"How many solutions the {len(faced):,} hands with a face card have",
    "xaxis": {"title": "solutions, up to order and brackets", "type": "category"},
    "yaxis_title": "hands", "barmode": "group", "template": "plotly_white", "height": 340, "margin": {"t": 50},
})
RULES = {"ten": "J, Q, K = 10", "eleven-twelve-thirteen": "J, Q, K = 11, 12, 13"}
for (faces, name), colour, pattern in zip(RULES.items(), OTHERS, ("", "/")):
    sizes = [sum(1 for _ in solver.solve(numbers_of(ranks, faces))) for ranks in faced]
    tally = [sum(low <= size < high for size in sizes) for low, high in zip(EDGES, EDGES[1:])]
    figure.add_bar(x=labels, y=tally, name=name, marker={"color": colour, "pattern_shape": pattern})
figure

# %% [markdown]
# Deals are such that the target can be reached, so "none" is never dealt. Hands are split by their numbers into
# `train` (60%), `dev`, `test` and `unseen`, so that a player is measured on other hands than it learnt on.
#
# ## A floor, a ceiling, and a player who remembers
#
# Three players that are not models show what a score means:
#
# * **random** writes each number once, in any order, with any operators: the floor;
# * **expert** asks the solver: the ceiling;
# * **old rule** asks the solver too, but reads every face card as 10, whatever the prompt says. It has
#   *memorised* the training rule.

# %%
import random
from dataclasses import replace

from labkit.errors import UsageError
from labkit.players.base import Answer
from labkit.players.simple import Expert, Random


class OldRule:
    """Right under the rule of training; does not read the prompt."""

    name = "old rule"

    def answer(self, turns):
        return [Answer(self.one(turn.episode)) for turn in turns]

    def one(self, episode):
        remembered = start(replace(episode.task, rule={**episode.task.rule, "faces": "ten"}))
        try:
            return gp.expert(remembered)
        except UsageError:  # no solution under the old rule: any formula of the old numbers
            return gp.random(remembered, random.Random(episode.task.index))


# %% [markdown]
# Every rate below comes with a 95% interval (Wilson's score interval,
# [explained here](https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval)): of
# 200 deals that could have been others, so much is luck.

# %%
from labkit.evaluation import evaluate
from labkit.players.registry import load

players = [Random(), Expert(), OldRule(), load("tiny:gp-l/init", temperature=0.6)]
deals = 40 if FAST else 200
results = {
    (player.name, suite): evaluate(player, "gp-l", suite, split="dev", episodes=deals, attempts=1)
    for player in players for suite in ("id", "rule-ood")
}
for (name, suite), result in results.items():
    low, high = result.ci95
    print(f"{name:15} {suite:9} {result.value:6.1%}   [{low:5.1%}, {high:6.1%}]   n = {result.n}, one attempt each")

# %% [markdown]
# The last player is a small language model that comes with the lab: pre-trained from nothing on arithmetic, rules and
# searches, then shown a few expert answers under the trained rule (**SFT**, supervised fine-tuning). Before its formula
# it writes a *thought*, in which it tries steps. It is what SFT and RL start from in the later notebooks. Its answers
# are sampled at temperature 0.6.

# %%
figure = go.Figure(layout={
    "title": f"One answer to each of {deals} deals (dev split), with 95% intervals",
    "yaxis": {"title": "success", "tickformat": ".0%", "range": [0, 1.05]},
    "barmode": "group", "template": "plotly_white", "height": 360, "margin": {"t": 50},
})
for suite, colour, pattern in zip(("id", "rule-ood"), OTHERS, ("", "/")):
    rows = [results[player.name, suite] for player in players]
    spread = {"array": [r.ci95[1] - r.value for r in rows], "arrayminus": [r.value - r.ci95[0] for r in rows]}
    look = {"color": colour, "pattern_shape": pattern}
    figure.add_bar(x=[r.player for r in rows], y=[r.value for r in rows], error_y=spread, name=suite, marker=look)
figure

# %% [markdown]
# **Result.** *Expert* and *old rule* look alike on `id`: both solve 100.0%. On `rule-ood`, where one sentence of the
# prompt is another, *expert* still solves 100.0% and *old rule* 0.0%. A benchmark that only knows the trained rule
# would praise both. The model solves 14.5% and 13.0% with one answer each, and 0.5% to 1.0% is what chance solves.
#
# The two suites hold *different* hands: each its own draw of hands that its rule can solve. So the bars compare players
# within a suite; [07](07_rule_ood.ipynb) compares the same cards under both rules.
#
# ## How does a model fail?
#
# Success says how often a model is right, categories say how it fails. Your verifier judges one answer for each deal:

# %%
from labkit.envs.general_points.verifier import CATEGORIES
from labkit.evaluation.metrics import wilson

def judged(episode):
    """Your verifier's category of the first answer; unreadable without a formula."""
    formula = episode.attempts[0].fields.get("formula")
    rule = episode.task.rule["faces"]
    numbers = numbers_of([card[0] for card in episode.task.deal["cards"]], rule)
    return "unreadable" if formula is None else verify(str(formula), list(numbers))


played = {suite: results["tiny:gp-l/init", suite].episodes for suite in ("id", "rule-ood")}
own = {suite: [judged(episode) for episode in episodes] for suite, episodes in played.items()}
same = sum(mine == e.attempts[0].verdict.category for suite in own for mine, e in zip(own[suite], played[suite]))
print(f"your verifier and the library's agree on {same} of {2 * deals} answers")

# %%
kinds = [c for c in CATEGORIES if c != "wrong_cards"]
figure = go.Figure(layout={
    "title": "Verdicts on tiny:gp-l/init, with 95% intervals",
    "xaxis": {"title": "share of the answers", "tickformat": ".0%", "range": [0, 1]},
    "barmode": "group", "template": "plotly_white", "height": 380, "margin": {"t": 50, "l": 130},
})
for suite, colour, pattern in zip(("id", "rule-ood"), OTHERS, ("", "/")):
    tally = Counter(own[suite])
    shares = [tally[kind] / deals for kind in kinds]
    spans = [wilson(share, deals) for share in shares]
    spread = {
        "array": [high - share for share, (_, high) in zip(shares, spans)],
        "arrayminus": [share - low for share, (low, _) in zip(shares, spans)],
    }
    look = {"color": colour, "pattern_shape": pattern}
    figure.add_bar(x=shares, y=kinds, error_x=spread, name=suite, orientation="h", marker=look)
figure

# %% [markdown]
# Look at the failures under the changed rule. With a live kernel, choose a verdict and leaf through.

# %%
EpisodeViewer([e for e in results["tiny:gp-l/init", "rule-ood"].episodes if not e.success])

# %% [markdown]
# ## Old-rule answers
#
# Every answer is judged under both rules, so "still plays by the old rule" can be *counted* rather than guessed. The
# library's `kept_old_rule` is the share of first answers that are wrong, but use the cards as the other rule has
# them.
#
# **Exercise 5.** Write that test for one attempt. `attempt.verdict` is the verdict, `attempt.other_rule` the one
# under the other rule (`None` where both rules say the same). Each has `.success` and `.evidence["failed"]`, a list
# of **all** checks that failed. An answer plays by a rule if it can be read and uses each card once as it counts
# there, whatever it comes to.

# %% tags=["exercise"]
def plays_by_old_rule(attempt):
    """True if the answer is wrong here, but a legal formula of the numbers of the other rule."""
    raise NotImplementedError("your turn")


# %%
check("general_points.plays_by_old_rule", plays_by_old_rule)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which three of the checks say that an answer is not a legal formula of the dealt numbers? `wrong_value` is not one
# of them.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def plays_by_old_rule(attempt):
#     """True if the answer is wrong here, but a legal formula of the numbers of the other rule."""
#     if attempt.verdict.success or attempt.other_rule is None:
#         return False
#     spoilt = {"unreadable", "illegal_formula", "wrong_numbers"}
#     return not spoilt & set(attempt.other_rule.evidence["failed"])
# ```
#
# If you ask `attempt.other_rule.success` instead, answers that are wrong under *both* rules but read K as 10 are
# missed: the player kept the rule and miscalculated.
#
# </details>

# %%
for player in players:
    kept = results[player.name, "rule-ood"].details["kept_old_rule"]
    low, high = kept.ci95
    print(f"{player.name:15} old-rule answers {kept.value:6.1%}   [{low:5.1%}, {high:6.1%}]   n = {kept.n}")

# %% [markdown]
# **Result.** The model kept the old rule in 0.0% of 200 first answers [0.0%, 1.9%]: it fails for other reasons.
#
# The interval matters most where nothing was found: 0 of 200 is compatible with a rate of one in a hundred.
#
# Whether a model that is trained *further* on the old rule drifts towards the old rule is
# the paper's question, and the subject of [notebook 07](07_rule_ood.ipynb).
#
# ## What would change my mind
#
# * Hands are a closed world: 1,820, of which a small model can *recall* many. This model's pre-training had no four
#   numbers that make 24, but fine-tuning repeats the hands of `train`: there a right answer is no evidence of search.
#   `unseen` hands, which no training stage has met, are the sharper test.
# * The changed rule keeps everything else: same cards, same format, same operations. A model that passes has read one
#   sentence, no more.
# * A success rate hides how a model fails; two models with equal rates may need opposite remedies.
# * Intervals here are about *other deals*, not other training runs: those need several seeds.
#
# **Next**
# * [03_sequential_revision](03_sequential_revision.ipynb): what the second attempt is worth.
# * `labkit eval gp-l --player tiny:gp-l/init --temperature 0.6 --suite id,rule-ood --episodes all` plays every hand;
#   `labkit play gp-l --faces J=5,Q=5,K=5` makes a rule of your own.
# * Read: section 4.1 and appendix A of the paper; *Alice in Wonderland* ([arXiv
#   2406.02061](https://arxiv.org/abs/2406.02061)), on small changes that break large models; *GSM-Symbolic* ([arXiv
#   2410.05229](https://arxiv.org/abs/2410.05229)), a benchmark with its numbers changed; Brown, Cai and DasGupta 2001,
#   *Interval estimation for a binomial proportion*, on why not ±1.96 standard errors.

# %%
import platform
from importlib.metadata import version

print(f"deals: seed 0, split dev, {deals} of each suite; the model: temperature 0.6")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
