# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Failure clinic
#
# **By the end you will have shown** what a player does wrong where it fails, and that a failed hand need not be a hard
# one.
#
# *For* anyone who has seen [the tour](00_tour.ipynb). *Time*: 45 minutes; all cells together run in some three minutes
# on two CPU cores, offline. *You will be able to*
#
# * go from a rate to the failures behind it, and from these to a **hypothesis** that a count can refute;
# * give every count its **control**: what it would be if the hypothesis were wrong;
# * tell a hard set from bad luck, by playing it again.
#
# The patient is **Init**, the tiny model after a short supervised fine-tuning, on GeneralPoints under the *changed* rule
# (J, Q, K count as 11, 12, 13; it was trained with 10). Its evaluation is stored: 796 hands, up to five answers each,
# with feedback after each wrong one.

# %% tags=["setup"]
import json
import os
import random
import tempfile
from pathlib import Path

from labkit.exercises import use

FAST = os.environ.get("LABKIT_FAST") == "1"
SETTING = "class"  # "full": all hands of both hard sets, ten minutes
HANDS = 4 if FAST else 100 if SETTING == "class" else None
OUT = Path(tempfile.mkdtemp())
RUNS = {
    "Init": "20261129-225610-eval-gp-l",
    "SFT": "20261129-230337-eval-gp-l",
    "RL": "20261129-225830-eval-gp-l",
    "RL, 2nd seed": "20261129-230100-eval-gp-l",
    "RL, 3rd seed": "20261129-230210-eval-gp-l",
    "SFT on thoughts": "20261129-230506-eval-gp-l",
    "SFT on thoughts, 2nd seed": "20261129-230507-eval-gp-l",
    "SFT on thoughts, 3rd seed": "20261129-230700-eval-gp-l",
}

# %% [markdown]
# ## From a rate to its failures
#
# All players of `RUNS` played the same 796 hands. Here each hand counts once. Half of the hands are to **look** at. The
# other half is to **test** on: a hypothesis that comes from some failures fits them anyway.

# %%
from labkit.evaluation.metrics import Trials, mean, share
from labkit.runs import Run

played = {}
for name, run in RUNS.items():
    played[name] = {e.task.id: e for e in Run(f"../results/{run}").episodes("rule-ood")}
    print(f"read {name}")
deals = sorted(played["Init"])
random.Random(0).shuffle(deals)
look, test = deals[: len(deals) // 2], deals[len(deals) // 2 :]


def percent(estimate):
    """A share with its 95% interval and n."""
    low, high = (100 * bound for bound in estimate.ci95)
    return f"{100 * estimate.value:5.1f}% [{low:.1f}, {high:.1f}] of {estimate.n:,}"


rate = share(Trials(played["Init"][d].success) for d in look)
print("Init, success within five answers, hands to look at:", percent(rate))

# %%
from labkit.views.widgets.predict import predict, reveal

WRONG = ["the form: they cannot be read", "the numbers: not those of the cards", "the value: it is not 24"]
predict("What is wrong with most of Init's wrong answers?", WRONG, key="clinic.wrong")

# %%
from collections import Counter

kinds = Counter(a.verdict.category for d in look for a in played["Init"][d].attempts if not a.verdict.success)
for kind, count in kinds.most_common():
    print(f"{kind:16} {count:5}")
unread = kinds["unreadable"] + kinds["illegal_formula"]
reveal("clinic.wrong", WRONG[max(range(3), key=[unread, kinds["wrong_numbers"], kinds["wrong_value"]].__getitem__)])

# %% [markdown]
# Now look. Press a bar to keep only the episodes that have such an answer; press it again to let it go. `wrong target`
# means that the answer says itself that its formula makes another number than 24, `arith error` that the number it
# gives is not what its formula makes.

# %%
from labkit.runs.index import Index
from labkit.views.widgets.failures import FailureBrowser

run = Run.create(OUT / "runs", "clinic", "stage: eval\n")
for half, chosen in (("look", look), ("test", test)):
    run.add_episodes(half, [played["Init"][d] for d in chosen])
index = Index(OUT / "runs", cache=OUT / "cache")
FailureBrowser(index, name="look", success=False)

# %% [markdown]
# Read five failures before you go on, and write down one sentence: *it fails because ...*

# %% [markdown]
# ## "It kept the old rule"
#
# This hypothesis is the paper's, for players after SFT. It can be counted in two ways: how many first answers are wrong
# but right in form under the old rule, and how many face cards the `number` field gives as 10.

# %%
OLD = ["hardly any", "about a tenth", "about half"]
predict("How many of Init's first answers play by the old rule?", OLD, key="clinic.old")

# %%
from labkit.evaluation.general_points import RATES

COUNTED = {"kept_old_rule": "first answers by the old rule", "faces_as_ten": "face cards given as 10"}
for name in ("Init", "SFT"):
    for rate, words in COUNTED.items():
        print(f"{name:5} {words:30} {percent(share(RATES[rate](played[name][d]) for d in test))}")

# %%
kept = share(RATES["kept_old_rule"](played["Init"][d]) for d in test).value
reveal("clinic.old", OLD[(kept > 0.03) + (kept > 0.3)])

# %% [markdown]
# A count near zero has two explanations: it does not happen, or the count cannot see it. So the same count needs a
# player in which it does happen, a **positive control**. Here this is SFT: Init, trained further under the old rule.
#
# **Result.** The count sees the old rule in 10.3% [7.7, 13.7] of SFT's first answers, and in 0.0% [0.0, 1.0] of Init's.
# Init reads the rule; something else goes wrong.

# %% [markdown]
# ## "The hands are too hard"
#
# Of Init's failures many have a single face card, and many have a single solution. Is that why they failed? The share of
# a trait *among the failures* does not tell: most hands have one face card. The control is the same share among all
# hands, or simpler, the rate of failure within each group.
#
# **Exercise 1.** Compute it.

# %% tags=["exercise"]
def failure_rates(groups, failed):
    """{group: share of its hands that failed}; `groups` and `failed` have one entry for each hand."""
    raise NotImplementedError("your turn")


# %%
failure_rates = use("failure_clinic.failure_rates", failure_rates)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Divide by the hands of the group, not by all failures.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def failure_rates(groups, failed):
#     """{group: share of its hands that failed}; `groups` and `failed` have one entry for each hand."""
#     return {
#         group: sum(bad for g, bad in zip(groups, failed, strict=True) if g == group) / groups.count(group)
#         for group in set(groups)
#     }
# ```
#
# </details>

# %%
from labkit.evaluation.metrics import wilson

rows = index.select(name="test").rows(limit=None, unit="episode")
failed = [row.status != "success" for row in rows]
print(f"{'trait':18} {'among failures':>14}   failed within the group")
for trait in ("face_cards", "solutions"):
    groups = [next(t for t in row.traits if t.startswith(trait)) for row in rows]
    for group, rate in sorted(failure_rates(groups, failed).items(), key=lambda row: -row[1]):
        n = groups.count(group)
        low, high = (100 * bound for bound in wilson(rate, n))
        print(f"{group:18} {rate * n / sum(failed):14.0%}   {rate:.0%} [{low:.0f}, {high:.0f}] of {n}")

# %% [markdown]
# **Result.** 66% of the failures have one face card. But 52% [46, 58] of such hands fail, and 48% [39, 57] of those with
# two: no difference can be seen. The number of solutions matters: with a single one 65% [56, 72] fail, with three to
# five 34% [26, 43]. Hands with many solutions fail as well, though, and something has to be wrong there too.

# %% [markdown]
# ## "It gives up its search"
#
# An answer has a `thought`: a search told step by step. A try that misses ends in `no`. What can go wrong is that the
# search ends too soon, or that its tries are badly chosen. To tell the two apart, count both.
#
# **Exercise 2.** Read a thought such as `11 no; 5+3=8: 2 8 8; 8+8=16: 2 16; 2+16=18 no; 5*2=10: ...`. Steps are
# separated by `; `. A step that ends a try tells no remaining numbers, so it has no colon.

# %% tags=["exercise"]
def search_of(thought):
    """(tries, found): how many tries a thought tells, and whether its last one makes 24."""
    raise NotImplementedError("your turn")


# %%
search_of = use("failure_clinic.search_of", search_of)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A step that ends a try has `=` and no `:`. A thought that found 24 ends in `=24`, without ` no`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def search_of(thought):
#     """(tries, found): how many tries a thought tells, and whether its last one makes 24."""
#     tries = [step for step in thought.split("; ") if "=" in step and ":" not in step]
#     return len(tries), bool(tries) and thought.endswith("=24")
# ```
#
# It believes the steps. Some 99% of them are true (the rate `steps_true`).
#
# </details>

# %%
def searched(answer):
    """What :func:`search_of` says of an answer; an answer without a thought has no try."""
    thought = answer.fields.get("thought")
    return search_of(thought if isinstance(thought, str) else "")


def end(answer):
    """How the search of a wrong answer ended."""
    tries, found = searched(answer)
    return "found 24, wrote another formula" if found else "gave up" if tries else "did not search"


wrong = [[end(a) for a in played["Init"][d].attempts if not a.verdict.success] for d in test]
for kind, _ in Counter(kind for of_hand in wrong for kind in of_hand).most_common():
    # Answers to one hand hang together, so the interval is over hands.
    print(f"{kind:32} {percent(share(Trials(of_hand.count(kind), len(of_hand)) for of_hand in wrong))}")

# %% [markdown]
# Most wrong answers end in a search that was given up. But that is nearly what "wrong" means here: it is no evidence
# yet. A control is a player that fails less.

# %%
BETTER = ["more tries an answer", "more hits a try", "both"]
predict("RL solves more of these hands than Init. What is better in its first answers?", BETTER, key="clinic.better")

# %%
measured = {}
for name in (n for n in played if n != "SFT"):
    first = [searched(played[name][d].attempts[0]) for d in test]
    measured[name] = mean([tries for tries, _ in first]), share(Trials(found, tries) for tries, found in first)
    tries = measured[name][0]
    low, high = tries.ci95
    print(f"{name:26} tries {tries.value:.2f} [{low:.2f}, {high:.2f}]   hits {percent(measured[name][1])} tries")

# %%
from plotly.graph_objects import Figure

from labkit.views.palette import color_of

figure = Figure()
for name, (x, y) in measured.items():
    bars = {axis: {"array": [e.ci95[1] - e.value], "arrayminus": [e.value - e.ci95[0]], "thickness": 1}
            for axis, e in (("error_x", x), ("error_y", y))}
    figure.add_scatter(x=[x.value], y=[y.value], name=name, mode="markers", marker_size=10,
                       marker_color=color_of(name), **bars)
figure.update_layout(title=f"Search in first answers to {len(test)} hands, 95% intervals")
figure.update_layout(template="plotly_white", height=430)
figure.update_xaxes(title="tries an answer", rangemode="tozero")
figure.update_yaxes(title="hits a try", tickformat=".0%", rangemode="tozero")
figure

# %%
from labkit.evaluation.paired import difference

change = difference([played["Init"][d] for d in test], [played["RL"][d] for d in test],
                    metric=lambda e: Trials(*searched(e.attempts[0])[::-1]))
low, high = (100 * bound for bound in change.ci95)
print(f"RL minus Init, hits a try: {100 * change.value:+.1f} points [{low:.1f}, {high:.1f}], same {change.n} hands")
longer = measured["RL"][0].ci95[0] > measured["Init"][0].ci95[1]
reveal("clinic.better", BETTER[2] if longer and low > 0 else BETTER[0] if longer else BETTER[1])

# %% [markdown]
# **Result.** RL makes 2.72 tries an answer, Init 1.46. Of Init's tries 9.0% hit, of RL's 10.5%; the paired difference,
# +1.6 points [−1.2, 4.1], could be none. RL's other seeds have 8.6% and 8.8%. So RL searches longer; that it chooses
# better tries cannot be seen. SFT on thoughts does the opposite: 1.62 tries an answer, of which 13.0% hit.

# %% [markdown]
# ## A hard set, played again
#
# To try a remedy one wants the hands that Init failed, as a file: a **hard set**.
#
# **Exercise 3.** An evaluation is a dictionary from the deal to whether it was solved. Which deals did every one of
# several evaluations fail?

# %% tags=["exercise"]
def hard_set(evaluations):
    """The deals that every evaluation failed; an evaluation is a dictionary {deal: solved}."""
    raise NotImplementedError("your turn")


# %%
hard_set = use("failure_clinic.hard_set", hard_set)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Go through the deals of the first evaluation and keep those that no evaluation solved.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def hard_set(evaluations):
#     """The deals that every evaluation failed; an evaluation is a dictionary {deal: solved}."""
#     return [deal for deal in evaluations[0] if not any(solved[deal] for solved in evaluations)]
# ```
#
# </details>

# %%
solved = {name: {d: episodes[d].success for d in deals} for name, episodes in played.items()}


def save(chosen, path):
    """Write deals to a file that `labkit eval --deals` plays; in class HANDS of them, drawn by lot."""
    drawn = chosen if HANDS is None else random.Random(1).sample(chosen, min(HANDS, len(chosen)))
    lines = [json.dumps({"task": played["Init"][d].to_dict()["task"]}) for d in drawn]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(chosen)} deals, of which {path.name} holds {len(lines)}")
    return path


failures = save(hard_set([solved["Init"]]), OUT / "failures.jsonl")

# %% [markdown]
# Init solves none of them: so they were chosen. Now the *same* player plays them again, at the same temperature (0.6),
# with other random numbers.

# %%
AGAIN = ["hardly any", "about a third", "about half, as of all hands"]
predict("How many of its failed hands does Init solve this time?", AGAIN, key="clinic.again")

# %%
from IPython.display import clear_output

from labkit.evaluation import evaluate
from labkit.players.registry import load


def play(spec, path, temperature=0.6):
    """Play the deals of a file with seed 1; the stored evaluations have seed 0."""

    def progress(done, total, _):
        clear_output(wait=True)
        print(f"{done} of {total} played")

    player = load(spec, temperature=temperature)
    result = evaluate(player, "gp-l", "rule-ood", deals=path, seed=1, batch=64, progress=progress)
    clear_output()
    print(f"{spec} at temperature {temperature} on {path.name}: {percent(result.estimate)}")
    return result


again = play("tiny:gp-l/init", failures)
print("On the command line: labkit eval gp-l --suite rule-ood --deals failures.jsonl --player tiny:gp-l/init")
print("                     --temperature 0.6 --seed 1")
reveal("clinic.again", AGAIN[(again.value > 0.12) + (again.value > 0.42)])

# %% [markdown]
# This is **regression to the mean**. A hand is among the failures because it is hard, or because luck was bad; luck does
# not repeat. How much is to be expected?
#
# **Exercise 4.** Each hand has a chance of being solved. All are played once. Those that failed are played again. What
# success is to be expected in the second play?

# %% tags=["exercise"]
def expected_again(chances):
    """Expected success in a second play of the hands that a first play failed; a list of chances, one a hand."""
    raise NotImplementedError("your turn")


# %%
expected_again = use("failure_clinic.expected_again", expected_again)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A hand with chance p is among the failures with probability 1 − p.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def expected_again(chances):
#     """Expected success in a second play of the hands that a first play failed; a list of chances, one a hand."""
#     failed = sum(1 - p for p in chances)
#     return sum(p * (1 - p) for p in chances) / failed if failed else 0.0
# ```
#
# If all hands have the same chance, the second play has it too: selecting changed nothing. If each is solved always or
# never, the second play solves none.
#
# </details>

# %% [markdown]
# A hand's chance is not known, but six other players have played it: RL and SFT on thoughts, three seeds each. Among the
# hands that equally many of them solved, Init's rate is an estimate.

# %%
OTHERS = [name for name in played if name not in ("Init", "SFT")]
votes = {d: sum(solved[name][d] for name in OTHERS) for d in deals}
chance = {}
for count in range(len(OTHERS) + 1):
    alike = [d for d in deals if votes[d] == count]
    chance[count] = share(Trials(solved["Init"][d]) for d in alike)
    print(f"solved by {count} of the others: Init solved {percent(chance[count])}")
rate = share(Trials(won) for won in solved["Init"].values()).value
print(f"expected again, all hands alike: {100 * expected_again([rate] * len(deals)):.1f}%")
print(f"expected again, chances as above: {100 * expected_again([chance[votes[d]].value for d in deals]):.1f}%")
print(f"measured: {percent(again.estimate)}")

# %% [markdown]
# ### What is the other player worth?
#
# RL plays the same file. Against Init's first play it gains whatever it solves, since Init solved none. The fair
# comparison is with Init's *second* play.

# %%
rl = play("tiny:gp-l/rl", failures)
gain = difference(again.episodes, rl.episodes)
low, high = (100 * bound for bound in gain.ci95)
print(f"RL minus Init as stored: {100 * rl.value:+.1f} points")
print(f"RL minus Init again: {100 * gain.value:+.1f} points [{low:.1f}, {high:.1f}], paired")

# %% [markdown]
# **Result.** Init solves 32.0% [23.7, 41.7] of the hands that it failed; 33.9% were to be expected. RL's gain of 43.0
# points over the stored play shrinks to 11.0 points [−0.6, 22.2] over the second play. The rest came from choosing the
# hands by Init's bad luck.

# %% [markdown]
# ## A hard set that stays hard
#
# One failure says little about a hand. Six do: choose the hands that none of the six other players solved. Init's own
# plays had no part in the choice.

# %%
STAYS = ["hardly any", "about a third", "about half"]
predict("How many of these hands does Init solve in a new play?", STAYS, key="clinic.stays")

# %%
hard = save(hard_set([solved[name] for name in OTHERS]), OUT / "hard.jsonl")
both = hard_set([solved[name] for name in ["Init", *OTHERS]])
print(f"of Init's {len(hard_set([solved['Init']]))} failures, {len(both)} are among them")

# %%
at_06 = play("tiny:gp-l/init", hard)
reveal("clinic.stays", STAYS[(at_06.value > 0.2) + (at_06.value > 0.42)])

# %% [markdown]
# If the search is what fails, a higher temperature, which makes its tries more different, could be a remedy.

# %%
at_1 = play("tiny:gp-l/init", hard, temperature=1.0)
change = difference(at_06.episodes, at_1.episodes)
low, high = (100 * bound for bound in change.ci95)
print(f"temperature 1 minus 0.6: {100 * change.value:+.1f} points [{low:.1f}, {high:.1f}], paired")

# %%
from labkit.views.widgets.episodes import EpisodeViewer

EpisodeViewer(sorted(at_1.episodes, key=lambda e: e.success))

# %% [markdown]
# **Result.** Of Init's 417 failures only 120 are hands that all six others failed as well. Of such hands Init solves 8.0%
# [4.1, 15.0] in a new play: they stay hard. Temperature 1 in place of 0.6 changes that by +4.0 points [−3.3, 11.7]. On
# 100 hands no difference can be seen; for a small one more hands are needed.
#
# ## What would change my mind
#
# * *Tries and hits are of first answers.* Later answers read feedback, and the hands that are still open differ between
#   players.
# * *More tries may come with easier ones.* Hits a try would look the same if RL added worse tries and bettered the first
#   ones. Count hits by the number of the try.
# * *The chance of a hand* is estimated from players that come from Init. A hand that is hard for all of them may be easy
#   for another family of models.
# * *A hard set ages.* A player that is improved on it fails other hands. Keep the half that was not looked at.
#
# **Read**: *Regression towards mediocrity in hereditary stature* (Galton, Journal of the Anthropological Institute 15,
# 1886), where the effect has its name from; *Stream of Search* ([arXiv 2404.03683](https://arxiv.org/abs/2404.03683))
# on searches told in words; [docs/evaluation.md](../docs/evaluation.md) on `--deals`. The app's Inspect tab has the same
# bars for every stored run.

# %%
import platform
from importlib.metadata import version

print(f"setting {SETTING}{' (fast)' if FAST else ''}; stored: seed 0, temperature 0.6; played here: seed 1")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
