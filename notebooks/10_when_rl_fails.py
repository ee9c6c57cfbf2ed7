# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # When RL fails
#
# **By the end you will have shown** that reinforcement learning (**RL**) is no magic: with the same code you will have
# made a run that collapses, and one that earns more and more while it *un*learns the task; you will have seen when
# there is no learning signal, and you will tell these apart by their curves.
#
# *For* anyone who has seen [PPO by hand](05_ppo_by_hand.ipynb) or [at work](06_ppo_scaling.ipynb); the game is in
# [notebook 01](01_general_points.ipynb). *Time*: 50 minutes; all cells together run in some five minutes on two CPU
# cores, offline. *You will be able to*
#
# * read a dashboard: return, success, entropy, KL, and what each looks like when things break;
# * find the hole in a table of rewards before a policy does;
# * measure how much of a batch a policy can learn from;
# * name the symptom, the cause and the cure of each disease.
#
# The paper ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)) has two such failures: RL without supervised
# fine-tuning (**SFT**) before it (section 5.4, Figure 9) and RL after too much of it (Figure 19).

# %% tags=["setup"]
import os
import tempfile

from labkit.exercises import check, use

FAST = os.environ.get("LABKIT_FAST") == "1"
SETTING = "class"  # "full": the configs' own sizes, twenty minutes a run and more
SIZE = ["episodes=48", "batch=48", "attempts=3", "probe=null"] if SETTING == "class" else []
HANDS, SAMPLES = (24, 8) if SETTING == "class" else (200, 16)
if FAST:
    SIZE, HANDS = ["episodes=12", "batch=12", "attempts=2", "probe=null", "max_new_tokens=96"], 4
CONFIG, OUT = "../configs/experiments/gp-l/rl.yaml", tempfile.mkdtemp()

# %% [markdown]
# ## What healthy looks like
#
# First a run that did well, for comparison: PPO on GeneralPoints from `tiny:gp-l/init` (the **Init**: a tiny model
# after [a short SFT](04_sft_init.ipynb)), some twenty minutes of training, stored in `results/`.

# %%
from IPython.display import HTML, display

from labkit.config import read
from labkit.replication import Archive, load_plan
from labkit.replication.findings import findings
from labkit.replication.show import show_figure
from labkit.replication.stored import collect
from labkit.views.widgets.dashboard import RunDashboard

ARCHIVE = Archive(["../results", "../runs"])
healthy = collect(load_plan("../configs/figures/05.yaml"), ARCHIVE).lines["gp-l", "RL"]
recipe = read(CONFIG)
asked = {name: recipe[name] for name in ("stage", "cell", "model", "updates", "lr")}.items()
others = [run for run in ARCHIVE.runs if asked <= run.config.items() and run.status["status"] == "finished"]
if healthy or others:
    display(RunDashboard(healthy[0].run if healthy else others[0]).static())
else:
    print("No such run is stored: `labkit figures 05 --run --seeds 100 --cell gp-l` makes one.")

# %% [markdown]
# *Return* is what the **policy** (the model, as it plays) earns in an episode, with all attempts and penalties;
# *success* is what we want of it; *entropy* measures its randomness, in nats a token; *KL of an update* measures how
# far an update has moved its probabilities. In a healthy run the first two rise together, entropy falls slowly and not
# to 0, the KL stays small. [docs/metrics.md](../docs/metrics.md) has all metrics, with what they look like when things
# break.
#
# ## Disease 1: too high a learning rate
#
# The same run, with a far higher learning rate. It trains in the background while you guess.

# %%
from labkit.dispatch.local import BackgroundRun

UPDATES = 5 if FAST else 8
hot = BackgroundRun(CONFIG, [*SIZE, "name=hot-rl", f"updates={UPDATES}", "lr=0.01", "warmup=0"], out=OUT, device="cpu")
print(f"learning rate {hot.run.config['lr']:g} in place of {recipe['lr']:g}")

# %%
from labkit.views.widgets.predict import predict, reveal

WAYS = ["learns faster", "gets worse, and goes on learning", "collapses: all it says earns the same", "does not change"]
predict("What does a policy do whose steps are far too long?", WAYS, key="rl_fails.hot")

# %%
RunDashboard(hot)

# %% [markdown]
# With a live kernel the curves grow as the run goes on (*Stop* ends it). This waits for its end:

# %%
import time

METRICS = ["rollout/return", "rollout/success", "policy/entropy_avg", "rollout/return_std", "policy/clipfrac_avg"]


def wait(live, updates):
    """Follow a run to its end, and say how it ended."""
    began, line = time.monotonic(), display({"text/plain": "waiting for the first update"}, raw=True, display_id=True)
    for row in live.follow():
        if done := row["step"]:
            gone = time.monotonic() - began
            state = f"update {done} of {updates}, at most about {gone / done * (updates - done):.0f} s left"
            state += f": return {row['rollout/return']:+.1f}, success {row['rollout/success']:.0%}"
            line.update({"text/plain": state}, raw=True)
    status = live.wait().status
    print(f"{status['status']} after {live.run.metrics()[-1]['step']} updates. {status.get('reason', '')}")
    return live.run


run = wait(hot, UPDATES)
RunDashboard(run, metrics=METRICS).static(smooth=0)

# %%
last = list(run.episodes(f"train-{run.metrics()[-1]['step']}"))
answers = [attempt.answer for episode in last for attempt in episode.attempts]
for answer in list(dict.fromkeys(answers))[:3]:
    print(repr(answer[:100]))
print(f"{len(set(answers))} different among {len(answers)} answers of the last update")

# %%
first, end = next(m for m in run.metrics() if m["step"]), run.metrics()[-1]
alike = end["rollout/return_std"] < 1e-6
moved = end["rollout/success"] - first["rollout/success"]
reveal("rl_fails.hot", WAYS[2] if alike else WAYS[0] if moved > 0.1 else WAYS[1] if moved < -0.1 else WAYS[3])

# %% [markdown]
# **Symptom**: within a few updates return falls to the floor, and then all returns are *alike* (`rollout/return_std` is
# 0): every answer to every hand earns the same, whether it is always one answer (entropy 0) or noise. **Cause**: a
# policy gradient samples its own data. Once no answer is better than another, all **advantages** (how much better an
# answer was than expected) are 0, and the policy cannot recover by itself. **Cure**: a lower learning rate; a penalty
# on the KL from the initial policy (`kl` in a config is its weight); a restart *from the last healthy checkpoint*.
#
# Further updates would be wasted, so the trainer checks for collapse: entropy, spread of returns and, where it is
# penalised, KL have thresholds (`stop` in a config). A run that is beyond one of them for `patience` updates in a row
# is stopped, with the reason and the last good checkpoint, if there is one, in its status.

# %%
print({name: run.status.get(name) for name in ("status", "reason", "last_good")})
print("bounds:", run.config["stop"])

# %% [markdown]
# **Exercise 1.** Write this check for one metric: given the entropies of the updates so far, return the number of
# updates after which the run is stopped (the first moment at which the last `patience` of them all lie below the
# bound), or `None`.

# %% tags=["exercise"]
def stops_after(entropies, bound, patience):
    """How many updates are done when the run is stopped; None if it never is."""
    raise NotImplementedError("your turn")


# %%
check("when_rl_fails.stops_after", stops_after)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Count the updates in a row below the bound; one that is not below it resets the count to 0.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def stops_after(entropies, bound, patience):
#     """How many updates are done when the run is stopped; None if it never is."""
#     row = 0
#     for done, entropy in enumerate(entropies, 1):
#         row = row + 1 if entropy < bound else 0
#         if row == patience:
#             return done
#     return None
# ```
#
# Patience costs updates and saves runs: a single update may be beyond a bound by chance.
#
# </details>

# %% [markdown]
# ## Disease 2: a reward that can be hacked
#
# The verifier pays +5 for a right answer. Suppose that someone in a hurry rewards *form*: every JSON answer with
# something in its formula field earns +1, right, wrong or illegal; any other answer earns −1. In the lab the table of
# rewards is an entry of the config. We start from `tiny:gp-l/rl`, which PPO has trained already, and raise the learning
# rate, so that a few updates are enough.

# %%
FORM = {"correct": 1, "wrong_value": 1, "wrong_numbers": 1, "illegal_formula": 1, "unreadable": -1, "exhausted": 0}
UPDATES_FORM = 3 if FAST else 6
reward = "reward={" + ", ".join(f"{name}: {value}" for name, value in FORM.items()) + "}"
settings = [*SIZE, "name=form-rl", f"updates={UPDATES_FORM}", "model=tiny:gp-l/rl", "lr=0.0005", "warmup=0", reward]
form = BackgroundRun(CONFIG, settings, out=OUT, device="cpu")

# %%
ENDS = ["return up, success up", "return up, success down", "return down, success down", "neither moves"]
predict("The player can do both, form and game. It is now paid for form only. Then?", ENDS, key="rl_fails.form")

# %%
run = wait(form, UPDATES_FORM)
RunDashboard(run, metrics=["rollout/return", "rollout/success", "rollout/turns"]).static(smooth=0)

# %%
from collections import Counter

from labkit.evaluation.metrics import Trials, share


def rate_text(estimate):
    low, high = estimate.ci95
    return f"{estimate.value:6.1%} [{low:.1%}, {high:.1%}], n = {estimate.n}"


steps = [m["step"] for m in run.metrics() if m["step"]]
for step in (steps[0], steps[-1]):
    played = list(run.episodes(f"train-{step}"))
    earned = sum(e.reward for e in played) / len(played)
    print(f"update {step}: success {rate_text(share(Trials(e.success) for e in played))}, mean return {earned:+.2f}")
    print("   ", dict(Counter(a.verdict.category for e in played for a in e.attempts).most_common()))
first, end = (next(m for m in run.metrics() if m["step"] == step) for step in (steps[0], steps[-1]))
up = [end[name] > first[name] for name in ("rollout/return", "rollout/success")]
reveal("rl_fails.form", {(True, True): ENDS[0], (True, False): ENDS[1]}.get(tuple(up), ENDS[2 if not any(up) else 3]))

# %% [markdown]
# A right answer *ends* the episode, and with it the rewards. Every wrong one earns as much and may be followed by
# another: so a right answer costs reward, which nobody intended. **Symptom**: return rises, success falls; turns
# (answers an episode) go up towards the limit. **Cause**: the policy maximises the reward that it gets. We see it only
# because success is logged *beside* the return. **Cure**: not a better optimiser but a better reward; ask how a player
# would play that wants only the reward. (A KL penalty, which this run does not have, helps for a while: it keeps the
# policy near one that played well.)
#
# **Exercise 2.** Ask that in code. Given a table of rewards (like `FORM`) and the number of attempts, is there a way to
# earn *more* than by a right answer at the first attempt? A player may give any kind of answer at any attempt; a right
# one ends the episode, and if all attempts are wrong, `exhausted` is added once.

# %% tags=["exercise"]
def can_be_hacked(reward, attempts):
    """True if some way of playing earns more than being right at once."""
    raise NotImplementedError("your turn")


# %%
can_be_hacked = use("when_rl_fails.can_be_hacked", can_be_hacked)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Of the wrong answers only the best-paid kind matters. How many of them can come before a right one? And without a
# right one?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def can_be_hacked(reward, attempts):
#     """True if some way of playing earns more than being right at once."""
#     best = max(value for name, value in reward.items() if name not in ("correct", "exhausted"))
#     late = [wrong * best + reward["correct"] for wrong in range(1, attempts)]
#     never = attempts * best + reward["exhausted"]
#     return max([*late, never]) > reward["correct"]
# ```
#
# "Partial credit" for an almost right answer (`wrong_value: +1.5`) opens the hole again: nearly right five times earns
# more than right once.
#
# </details>

# %%
from labkit.envs.general_points.verifier import REWARD

PAPER = {name: value for name, value in REWARD.items() if name != "combine"}
for name, table in (("the paper's table", PAPER), ("form only", FORM), ("partial credit", PAPER | {"wrong_value": 1.5})):
    print(f"{name:18} can be hacked within 5 attempts: {can_be_hacked(table, 5)}")

# %% [markdown]
# ### Mend the reward
#
# **Exercise 3.** Mend the reward. Your function gets a table such as `FORM` and returns one with the same entries and
# the same pay for a right answer, in which no way of playing earns more than a right answer at once, however many
# attempts there are. The same player is then trained on *your* table.

# %% tags=["exercise"]
def mended(reward):
    """The same table with other pay for wrong answers, so that nothing earns more than being right at once."""
    raise NotImplementedError("your turn")


# %%
mended = use("when_rl_fails.mended", mended)

# %% [markdown]
# <details><summary>Hint</summary>
#
# What may a wrong answer earn at most, if it must not pay to give one before the right one?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def mended(reward):
#     """The same table with other pay for wrong answers, so that nothing earns more than being right at once."""
#     return reward | {name: min(value, -1) for name, value in reward.items() if name not in ("correct", "exhausted")}
# ```
#
# No wrong answer may earn more than 0, or the right one waits. A cost above 0 also says that fewer attempts are better.
#
# </details>

# %%
table = mended(FORM)
print(table)
reward = "reward={" + ", ".join(f"{name}: {value}" for name, value in table.items()) + "}"
settings = [*SIZE, "name=mended-rl", f"updates={UPDATES_FORM}", "model=tiny:gp-l/rl", "lr=0.0005", "warmup=0", reward]
healed = wait(BackgroundRun(CONFIG, settings, out=OUT, device="cpu"), UPDATES_FORM)
for name, trained in (("form only", run), ("mended", healed)):
    logged = [m["rollout/success"] for m in trained.metrics() if m["step"]]
    print(f"{name:10} success while playing: first update {logged[0]:.0%}, last {logged[-1]:.0%}")

# %% [markdown]
# **Result.** The mended table is not enough: success falls from 75% to 33%, as it fell to 31% when form was paid. But
# here the return falls with it, to -1.8, while the player that was paid for form ended with a *higher* return, +2.58.
# So falling success alone does not show a hacked reward: at this learning rate the player breaks under any table
# (disease 1). The sign of a hack is that return and success move apart.
#
# A verifier can also be *wrong* rather than generous: one that keeps the old rule rewards a player
# that does not read the new one. No run is needed to see this. Here is one answer, judged under both rules:

# %%
from labkit.envs import game, judge, start

gp = game("gp-l")
answer = '{"cards": ["K","6","2","4"], "number": [10,6,2,4], "formula": "(10-4)*(6-2)=24"}'
for faces in ("ten", "eleven-twelve-thirteen"):
    verdict = judge(start(gp.task(hand=["K", "6", "2", "4"], faces=faces)), answer).attempts[-1].verdict
    print(f"{faces:23} {verdict.category:14} reward {verdict.reward:+g}")

# %% [markdown]
# ## Disease 3: nothing to learn from
#
# A policy gradient weights answers by how much *better* they were than others. Methods that sample in groups (GRPO,
# RLOO: [05](05_ppo_by_hand.ipynb)) compare answers to the same hand: where all of a group earn the same, every
# advantage is 0, and the hand teaches nothing. In [04](04_sft_init.ipynb) you computed how often a group of *n*
# contains right and wrong answers, if each answer is right with probability *p*: $1 - p^n - (1-p)^n$. A hand that is
# solved once in a hundred gives a signal in 8% of its groups of eight; so does one that fails once in a hundred. The
# strongest signal comes from a hand that the player solves half of the time.
#
# Now we measure it: each hand is answered several times, with one attempt each, first by one player at three
# temperatures. *Some reward differs* counts groups whose rewards are not all the same: wrong answers earn different
# rewards too, so it is at least *right and wrong*.

# %%
from labkit.evaluation import evaluate
from labkit.players.registry import load


def groups(spec, temperature=1.0):
    """The episodes of each hand, several samples of one attempt, on hands that RL trains on."""
    player = load(spec, temperature=temperature, device="cpu")
    played = evaluate(player, "gp-l", "id", split="train", episodes=HANDS, samples=SAMPLES, attempts=1).episodes
    by_hand = {}
    for episode in played:
        by_hand.setdefault(episode.task.id, []).append(episode)
    return list(by_hand.values())


def signals(asked):
    """A table of right answers, of groups that contain both kinds, and of groups in which some reward differs."""
    heads = ("player", "right answers", "groups: right and wrong", "groups: some reward differs")
    rows = "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"
    for spec, temperature in asked:
        played = groups(spec, temperature)
        right = share(Trials(sum(e.success for e in group), len(group)) for group in played)
        both = share(Trials(len({e.success for e in group}) > 1) for group in played)
        differ = share(Trials(len({e.reward for e in group}) > 1) for group in played)
        cells = (f"{spec}, T = {temperature:g}", *map(rate_text, (right, both, differ)))
        rows += "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"
    return HTML(f"<table>{rows}</table>")


signals([("tiny:gp-l/init", temperature) for temperature in (1.0, 0.3, 0.02)])

# %% [markdown]
# The **temperature** (by which logits are divided before a token is drawn) alone can make the signal, or remove it:
# near 0 a policy nearly always gives the same answer, and hardly any variance of rewards within a group is left,
# however bad the answer is. (The authors sample at 0.2.) **Symptom**: the gradient and the KL of an update are near 0,
# the return stays flat; a group's standard deviation is 0. **Cause**: all answers to a hand earn the same, and a larger
# batch does not change that. **Cure**: a higher temperature, larger groups, hands that are neither too hard nor too
# easy, another initial checkpoint. The next table compares four:

# %%
signals([(spec, 1.0) for spec in ("tiny:base", "tiny:gp-l/init", "tiny:gp-l/sft", "tiny:gp-l/rl")])

# %% [markdown]
# ## RL without SFT before it
#
# `tiny:base` has not been fine-tuned on the task. The paper finds that RL from there does not learn, at any of
# three learning rates: the base model's answers do not even follow the format, so nothing is ever rewarded. Look at the
# row of `tiny:base` above: is that so here? The share of groups in which some reward differs decides it.

# %%
_ = show_figure("../configs/figures/09.yaml", ARCHIVE)

# %% [markdown]
# These runs start from the lab's first base, `tiny:recall/base`, which recalls formulas instead of searching for them.
# If ours *does* rise where the paper's did not, that does not contradict the paper: both our bases have seen the
# answer's format in pre-training, under other prompts, so some of its answers are readable, and rewards differ. RL does
# not need SFT as such; it needs an initial policy that *sometimes samples* better answers.
#
# ## RL after too much SFT
#
# The opposite case: SFT was trained until success under the changed rule fell. Can RL bring it back? (Again from the
# first base.)

# %%
BACK = ["yes, to where Init was", "in part", "no"]
predict("RL from an over-fitted SFT player: does success under the CHANGED rule come back?", BACK, key="rl_fails.back")

# %%
data = show_figure("../configs/figures/19.yaml", ARCHIVE)
latest = data.figure.plan.curves[-1].name if data else ""  # RL from the longest SFT
about = {f.claim.than: f.on_these_deals for f in findings(data) if f.claim.curve == latest} if data else {}
# The claims are the paper's: since its own start it does not rise, and it stays below where SFT began.
if about.get("start") in ("agrees", "disagrees"):
    below = about["origin"] == "agrees"
    reveal("rl_fails.back", BACK[2] if about["start"] == "agrees" else BACK[1] if below else BACK[0])
else:
    print("What is stored does not decide the question; keep your guess.")

# %% [markdown]
# Where could a signal come from? RL deals the *trained* rule only. Under it every face card counts as 10, so a player
# that reads the rule and one that does not earn the same. If success under the changed rule does come back, the player
# must still read the rule. Does it? Here is the present SFT player beside its Init: where a rate hardly differs between
# the two, the reading of the rule was not lost.

# %%
for spec in ("tiny:gp-l/init", "tiny:gp-l/sft"):
    player = load(spec, temperature=1.0, device="cpu")
    result = evaluate(player, "gp-l", "rule-ood", split="dev", episodes=HANDS, samples=SAMPLES, attempts=1)
    for name, words in {"number_right": "numbers translated", "faces_as_ten": "face cards written as 10"}.items():
        print(f"{spec:15} {words:24} {rate_text(result.details[name])}")

# %% [markdown]
# ## Learning rate and KL, in steps
#
# Disease 1 was an extreme case. The stored grid (of the first base) has smaller steps: learning rates and weights of
# the KL penalty side by side, under the trained rule and under the changed one. The ring marks the setting of the
# config.

# %%
_ = show_figure("../configs/figures/grid.yaml", ARCHIVE)

# %% [markdown]
# Compare RL's learning rates on training and on held-out hands: do the two agree on the best rate? Then compare two
# weights of the penalty at one learning rate: is any difference larger than its interval?
#
# **Exercise 4.** The penalised KL is estimated from sampled tokens alone, from the log-probability of each under the
# policy $π$ and under the initial policy $π_0$. The estimate *k3* of a token is $r - 1 - \log r$ with $r = π_0/π$.
# Return its mean.

# %% tags=["exercise"]
def k3(logp, initial_logp):
    """Mean of the k3 estimates, in nats a token; two lists of log-probabilities of the same sampled tokens."""
    raise NotImplementedError("your turn")


# %%
check("when_rl_fails.k3", k3)

# %% [markdown]
# <details><summary>Hint</summary>
#
# log r is a difference of log-probabilities.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import math
#
#
# def k3(logp, initial_logp):
#     """Mean of the k3 estimates, in nats a token; two lists of log-probabilities of the same sampled tokens."""
#     log_r = [old - new for new, old in zip(logp, initial_logp)]
#     return sum(math.exp(x) - 1 - x for x in log_r) / len(log_r)
# ```
#
# It is never below 0. But one token that the initial policy thought likely and the new one does not contributes
# $e^{\log r}$, which may be thousands: a single spike of the curve can be one token. A *level* that stays is real.
#
# </details>

# %% [markdown]
# The KL of an update is computed by the same formula, between the policies before and during it, on tokens that the
# policy before it sampled; once the two are far apart it no longer estimates the KL. The collapsed run logged:

# %%
print([f"{m['policy/approxkl_avg']:.2g}" for m in hot.run.metrics() if m["step"]], "nats a token, by k3")

# %% [markdown]
# A number in the thousands or millions is not a distance between two policies: it comes from the estimator, on tokens
# that one of them gives almost no probability. It works as an alarm, not as a measurement (`labkit eval --reference`
# sums over the whole vocabulary).
#
# ## The ward
#
# There are four patients. Each is the first updates of a real run of this lab.

# %%
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from labkit.exercises.when_rl_fails import WARD
from labkit.views.palette import OTHERS

SHOWN = {"return": "return", "success": "success", "entropy": "entropy, nats", "gradient": "gradient's norm"}
heads = {"row_titles": [f"patient {name}" for name in WARD], "column_titles": list(SHOWN.values())}
figure = make_subplots(len(WARD), 4, vertical_spacing=0.07, **heads)
for row, (name, curves) in enumerate(WARD.items(), 1):
    for column, metric in enumerate(SHOWN, 1):
        line = {"color": OTHERS[row - 1]}
        x = list(range(1, len(curves[metric]) + 1))
        place = {"row": row, "col": column, "showlegend": False}
        figure.add_scatter(x=x, y=curves[metric], line=line, mode="lines+markers", **place)
figure.update_yaxes(tickformat=".0%", range=[-0.03, 0.85], col=2)
figure.update_yaxes(range=[-0.02, 0.4], col=3)
figure.update_xaxes(title="update", row=len(WARD))
figure.update_layout(template="plotly_white", height=190 * len(WARD) + 80, margin={"t": 50})
figure

# %% [markdown]
# **Exercise 5.** Diagnose each patient: `"healthy"`, `"learning rate"`, `"hacked reward"` or `"no signal"`. Mind the
# scales.

# %% tags=["exercise"]
diagnosis = None  # <- {"A": "...", "B": "...", "C": "...", "D": "..."}

# %%
check("when_rl_fails.diagnosis", diagnosis)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which patient earns more but succeeds less? Of the two without a gradient, which had a high entropy before?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# diagnosis = {"A": "hacked reward", "B": "no signal", "C": "learning rate", "D": "healthy"}
# ```
#
# A: return rises while success falls. B: after the first updates the gradient is 0, since the advantages are; return
# varies with the hands, and entropy is 0 because the run samples near temperature 0. C: a random policy becomes one
# that earns the minimum, with no gradient left. D: all curves move a little, in the right directions.
#
# </details>

# %% [markdown]
# ## The list on the wall
#
# | symptom | cause | cure |
# |---|---|---|
# | return at the floor, spread 0 | steps too long: all answers earn the same | a lower `lr`, a `kl` penalty, a restart from `last_good` |
# | return up, success down, turns at the limit | the reward pays for something else | correct the reward; log success beside it |
# | gradient 0, return flat, groups alike | no variance, no signal | temperature, larger `group`, hands of medium difficulty |
# | success 0 from the start, answers unreadable | right answers are never sampled | SFT first, or a graded reward |
# | training hands fine, changed rule lost for good | in training, reading the rule makes no difference | do not over-fit before RL; deal more than one rule |
#
# ## What would change my mind
#
# * The live runs are small (dozens of episodes, a few updates, one seed): they show *that* such a thing happens, not
#   how often. Run them with another `seed`.
# * Learning rates here are a tiny model's. What is "too high" at eleven billion parameters is another number; the
#   symptoms are the same.
# * Whether RL recovers from over-fitting depends on how far SFT went: figure 19 has two starts. More would make a
#   curve.
#
# **Read**: *Spinning Up*'s list of what goes wrong ([spinningup.openai.com](https://spinningup.openai.com/)); *DAPO*
# ([arXiv 2503.14476](https://arxiv.org/abs/2503.14476)), which leaves out groups without signal; *Scaling Laws for
# Reward Model Overoptimization* ([arXiv 2210.10760](https://arxiv.org/abs/2210.10760)); Schulman on [estimating the
# KL](http://joschu.net/blog/kl-approx.html); the paper's section 5.4.
#
# **Next**: [RESULTS.md](../RESULTS.md) has what both methods do when nothing breaks, with several seeds.

# %%
import platform
from importlib.metadata import version

sizes = ", ".join(SIZE) or "as in the config"
print(f"setting {SETTING}{' (fast)' if FAST else ''}; live runs from {CONFIG.removeprefix('../')} with {sizes}, seed 0")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
