# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Heavy runs
#
# **By the end you will have shown** where the memory of a run on eight GPUs goes, which single setting makes it too
# large, and that a run on another machine loses nothing when the connection to it is lost.
#
# *For* anyone who has seen [PPO at work](06_ppo_scaling.ipynb). *Time*: 40 minutes; all cells together run in some
# three minutes on two CPU cores, offline. *You will be able to*
#
# * compute what weights, gradients and optimizer moments take, on one GPU and on eight;
# * read a plan, and change a config until it fits;
# * send a run to a host, watch it, lose the connection, come back, and play its checkpoint.
#
# The paper ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161)) trains Llama-3.2-Vision-11B on eight GPUs of 80 GB.
# Here such a run is *planned*. The run that is *sent* trains the tiny model, and its host is this machine: a process
# that does not depend on this notebook. For a machine of your own, write its file
# ([docs/dispatch.md](../docs/dispatch.md)) and name it in the next cell; nothing else changes.

# %% tags=["setup"]
import os
import sys
import tempfile
from pathlib import Path

import labkit
from labkit.dispatch import host as hosts
from labkit.exercises import use

os.chdir(Path(labkit.__file__).parents[1])  # configs name files from here
FAST = os.environ.get("LABKIT_FAST") == "1"
SETTING = "class"  # "full": the config's own size, twenty minutes
SIZE = ["episodes=48", "batch=48", "attempts=3", "probe=null"] if SETTING == "class" else []
UPDATES, HANDS = (6, 40) if SETTING == "class" else (30, 200)
if FAST:
    SIZE, UPDATES, HANDS = ["episodes=12", "batch=12", "attempts=2", "probe=null", "max_new_tokens=96"], 3, 4
OUT = Path(tempfile.mkdtemp())
# A host of your own: HOST = hosts.load("FILE.yaml")
HOST = hosts.load("local").model_copy(update={"python": sys.executable, "folder": str(OUT / "there")})

# %% [markdown]
# ## Where the memory goes
#
# `labkit plan CONFIG --to HOST` counts before anything starts: it builds the model without data and runs a forward and
# a backward pass on tensors that have a shape and no content. These are the paper's PPO on GeneralPoints and eight GPUs
# of 80 GB, which share out the model (**FSDP**: each keeps an eighth of all weights, and gathers a layer when it
# computes with it).

# %%
from labkit.config import read
from labkit.dispatch import plan as plans
from labkit.training import stages

GIB, CONFIG = 2**30, "configs/experiments/gp-l/authors-rl.yaml"


def planned(host, config=CONFIG, **changes):
    """The plan of a config with some settings changed, on a host of configs/hosts."""
    return plans.plan(stages.parse({**read(config), **changes}), hosts.load(host))


# %%
from labkit.views.widgets.predict import predict, reveal

PHASES = {"load": "loading the checkpoint", "play": "playing", "learn": "the forward and backward pass",
          "step": "the optimizer's step"}
predict("In which phase does a GPU hold the most?", list(PHASES.values()), key="heavy.phase")

# %%
eight = planned("h800")
counts = eight.counted
print(f"{counts.parameters:,} parameters, of which gradients reach {counts.reached:,}")
print(f"{'GiB a GPU':24}" + "".join(f"{phase:>8}" for phase in PHASES))
for part, sizes in [*eight.parts.items(), ("all", eight.phases)]:
    print(f"{part:24}" + "".join(f"{sizes[phase] / GIB:8.1f}" if phase in sizes else " " * 8 for phase in PHASES))
print(f"A plan may fill {eight.limit / GIB:.1f} GiB; the run takes {eight.hours:.2f} hours (an estimate).")

# %%
from plotly.graph_objects import Bar, Figure

figure = Figure([
    Bar(name=part, x=list(PHASES), y=[sizes.get(phase, 0) / GIB for phase in PHASES])
    for part, sizes in eight.parts.items() if max(sizes.values()) > GIB / 2
])
figure.add_hline(eight.limit / GIB, line_dash="dash", annotation_text="what a plan may fill")
figure.update_layout(barmode="stack", template="plotly_white", height=420)
figure.update_layout(title="Memory of one of eight GPUs, by phase")
figure.update_yaxes(title="GiB")
figure.update_xaxes(title="phase")
figure

# %%
reveal("heavy.phase", PHASES[max(eight.phases, key=eight.phases.get)])

# %% [markdown]
# **Result.** The largest phase decides: the forward and backward pass, with 55.6 GiB a GPU. A GPU's own eighth of the
# weights is only 5.0 GiB of that; gathered weights take 19.9 GiB and gradients 18.7 GiB. Activations take 3.5 GiB:
# most are computed again in the backward pass (`activation_checkpointing`). While playing, the keys and values of the
# dialogues so far (the **KV cache**) take 20.6 GiB.

# %% [markdown]
# ### What a parameter takes
#
# Weights, gradients and Adam's two moments are numbers of 4 bytes. Every parameter has a weight. Those that no gradient
# reaches, here the vision tower in a game of text, have no gradient and no moments. With FSDP the GPUs share all of
# them evenly.
#
# **Exercise 1.** How many bytes does each GPU keep?

# %% tags=["exercise"]
def state_bytes(parameters, reached, gpus):
    """Bytes of weights, gradients and moments on each GPU; gradients reach `reached` of the parameters."""
    raise NotImplementedError("your turn")


# %%
state_bytes = use("heavy_runs.state_bytes", state_bytes)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A parameter that is reached has four numbers: its weight, its gradient and two moments. The others have one.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def state_bytes(parameters, reached, gpus):
#     """Bytes of weights, gradients and moments on each GPU; gradients reach `reached` of the parameters."""
#     return 4 * (parameters + 3 * reached) / gpus
# ```
#
# So a parameter that is trained takes 16 bytes: 16 GB for each billion of them, before the first token is read.
#
# </details>

# %%
kept = sum(eight.parts[part]["step"] for part in ("weights", "gradients", "optimizer")) / GIB
own = state_bytes(counts.parameters, counts.reached, 8) / GIB
print(f"eight GPUs, in the optimizer's step: the plan has {kept:.1f} GiB each, your function {own:.1f}")
for gpus in (1, 2, 4, 8, 16):
    size = state_bytes(counts.parameters, counts.reached, gpus) / GIB
    print(f"GPUs: {gpus:2}   GiB on each: {size:6.1f}   {'below' if size < eight.limit / GIB else 'above'} the limit")

# %% [markdown]
# **Result.** One GPU would have to keep 129.5 GiB. Two have room for this state, 64.7 GiB each, but not for the 19.9
# GiB of gathered weights besides.

# %% [markdown]
# ## What would fit on eight GPUs
#
# RL often penalises the KL from the initial policy, for which that policy stays in memory. The paper's run does without
# (`kl: 0`).

# %%
FITS = ["yes", "no, but it does with one setting changed", "no, whatever one setting is changed"]
predict("The same run with a KL penalty of 0.05: does it fit?", FITS, key="heavy.kl")

# %%
VARIANTS = [
    ("as the authors", "h800", {}),
    ("KL penalty", "h800", {"kl": 0.05}),
    ("all activations kept", "h800", {"activation_checkpointing": False}),
    ("one GPU", "h800-one", {}),
    ("one GPU, LoRA", "h800-one", {"config": "configs/experiments/gp-l/lora-rl.yaml"}),
]
found = {name: planned(host, **changes) for name, host, changes in VARIANTS[: 2 if FAST else None]}
for name, one in found.items():
    worst = max(one.phases, key=one.phases.get)
    print(f"{name:22} {one.peak / GIB:6.1f} of {one.limit / GIB:.1f} GiB in phase {worst:5} "
          f"{'fits' if one.fits else 'does not fit':12} {one.hours:5.2f} hours")

# %%
change = plans.remedy(found["KL penalty"], hosts.load("h800"))
print(f"with the penalty and {change[0]}: {change[1].peak / GIB:.1f} GiB" if change else "no single change helps")
reveal("heavy.kl", FITS[0] if found["KL penalty"].fits else FITS[1] if change else FITS[2])

# %% [markdown]
# **Result.** The penalty costs each GPU a whole copy of the initial policy: 95.4 GiB in place of 55.6. With LoRA besides
# the run takes 46.9 GiB. One GPU would need 183.4 GiB for this run, and 72.3 GiB with LoRA: it just fits.
#
# **LoRA** trains small matrices beside the weights and leaves these as they are. So it has hardly any gradients and
# moments, and the initial policy is the same model with the small matrices switched off: no copy is kept. But it is
# another experiment: other parameters, another learning rate.
#
# Planned memory was compared with measured steps of tiny models on the CPU, within some 20%. Nothing here was measured
# on a GPU, and hours use rates of data sheets.

# %% [markdown]
# ## Send a run
#
# A run that is sent belongs to its host. Code, config and checkpoint go there, into folders that are named by the
# hash of their content; the command that starts it returns at once.

# %%
from labkit.dispatch import remote

RL = "configs/experiments/gp-l/rl.yaml"
SETTINGS = [*SIZE, f"updates={UPDATES}", "name=far-rl", "warmup=0"]
sent = remote.send([RL], HOST, SETTINGS, out=OUT / "here", say=print)[0]
print(sent.status["status"], sent.status["reason"] or "")

# %%
TWICE = ["an error", "a second run, after the first", "a second run, beside the first", "the same run"]
predict("Was it sent at all? You send it again, to be sure. What do you get?", TWICE, key="heavy.twice")

# %%
again = remote.send([RL], HOST, SETTINGS, out=OUT / "here", say=print)[0]
same, number = again.run.id == sent.run.id, len(remote.listing(HOST))
print(f"runs on the host: {number}")
reveal("heavy.twice", TWICE[3] if same else TWICE[1])

# %% [markdown]
# **Result.** There is 1 run. A job is the hash of config, code, data and launcher; the same job has a run already. To
# run it again, change its seed. The same holds when two people send at once.
#
# ## Watch it
#
# The dashboard of a run on a host is that of any other. It copies what the host has written since the last look,
# metrics and episodes, and draws it.

# %%
first = next(sent.follow(every=0.5))

# %%
from labkit.views.widgets.dashboard import RunDashboard

RunDashboard(sent.run.id, root=OUT / "watched", host=HOST, metrics=["rollout/return", "rollout/success"])

# %% [markdown]
# ## Lose the connection
#
# You sit in a train and a tunnel comes. Between this notebook and its host there is no tunnel, so one is made: a
# connection that can be cut. What is asked through it while it is cut fails as it does when ssh finds nobody.

# %%
from labkit.dispatch.transport import Unreachable, connect


class Tunnel:
    """The way to a host, with a switch that cuts it."""

    def __init__(self, host):
        self.host, self.cut, self._way = host, False, connect(host)

    def __getattr__(self, name):
        if self.cut:
            raise Unreachable(f"no connection to {self.host.name}")
        return getattr(self._way, name)


way = Tunnel(HOST)
watched = remote.SentRun(way, sent.run.id, OUT / "train")

# %%
LOST = ["it ends", "it waits until we are back", "it goes on; what it did meanwhile is lost to us",
        "it goes on, and in the end we have each update once"]
predict("The connection is lost while the run trains. What becomes of the run?", LOST, key="heavy.lost")

# %% [markdown]
# **Exercise 2.** Whoever comes back gets *all* lines of metrics that the host has, also those that were shown before.
# After a crash a run goes on from its last saved state, so its file may even have become shorter. Which lines are
# new?

# %% tags=["exercise"]
def unseen(lines, shown):
    """The lines whose step is not in the set `shown`, in their order; each line is a dict with a "step"."""
    raise NotImplementedError("your turn")


# %%
unseen = use("heavy_runs.unseen", unseen)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Do not count lines: a file that became shorter and grew again has as many as before. Look at each line's step.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def unseen(lines, shown):
#     """The lines whose step is not in the set `shown`, in their order; each line is a dict with a "step"."""
#     return [line for line in lines if line["step"] not in shown]
# ```
#
# </details>

# %%
import time


def follow(watched, tunnel_after, looks):
    """Show each update once, in a tunnel for some looks; the steps as they were shown, and the looks that failed."""
    shown, failed = [], 0
    while True:
        way.cut = len(shown) >= tunnel_after and failed < looks
        try:
            watched.refresh()
        except Unreachable as error:
            failed += 1
            print(f"{error}; the run goes on")
            time.sleep(2)
            continue
        for line in unseen(watched.run.metrics(), set(shown)):
            print(f"update {line['step']}: return {line['rollout/return']:+.2f}")
            shown.append(line["step"])
        if not watched.alive:
            return shown, failed
        time.sleep(0.5)


shown, failed = follow(watched, tunnel_after=1, looks=2 if FAST else 5)
print(f"{failed} looks failed; updates shown: {shown}; the run is {watched.status['status']}")

# %%
complete = shown == list(range(1, UPDATES + 1))
reveal("heavy.lost", LOST[3] if complete else LOST[2] if watched.status["status"] == "finished" else LOST[0])

# %% [markdown]
# **Result.** 5 looks failed. All 6 updates were shown, each once, and the run is finished.
#
# `labkit runs follow RUN --to HOST` does the same, and waits longer after each look that fails. Whether a run is alive
# is asked of the host's process table, not of this notebook's memory: restart the kernel, and `labkit runs list --to
# HOST` still has it. A run that was killed is told as `stopped`, and `labkit runs resume` continues it.

# %% [markdown]
# ## Come back, fetch, play
#
# Checkpoints come on request, since they are large.

# %%
back = remote.SentRun(HOST, sent.run.id, OUT / "here")
print("on the host:", [(state["run"] == back.run.id, state["status"]) for state in remote.listing(HOST)])
print("checkpoints here before:", list(back.run.checkpoints()))
run = back.fetch()
print("checkpoints here after:", list(run.checkpoints()))
RunDashboard(run, metrics=["rollout/return", "rollout/success"]).static(smooth=0)

# %% [markdown]
# What was fetched is a run like any other. It plays beside the model that it started from, on the same held-out
# hands:

# %%
from labkit.evaluation import evaluate
from labkit.players.registry import load
from labkit.views.widgets.episodes import EpisodeViewer

played = {}
for name, player in (("Init", "tiny:gp-l/init"), ("fetched", f"run:{run.id}")):
    model = load(player, runs=OUT / "here", temperature=0.6)
    played[name] = evaluate(model, "gp-l", "id", split="dev", episodes=HANDS, attempts=3)
    low, high = played[name].ci95
    print(f"{name:8} success {played[name].value:.0%} [{low:.0%}, {high:.0%}], n = {HANDS}")

# %%
EpisodeViewer(played["fetched"].episodes)

# %% [markdown]
# A few updates on a few hands: the intervals are far wider than what such a run can gain. They show that the checkpoint
# plays, not that it is better. [Notebook 06](06_ppo_scaling.ipynb) has the comparison.
#
# ## What would change my mind
#
# * The tunnel is a stand-in. The tests cut real connections to an OpenSSH server, between two processes of one machine
#   (`tests/dispatch/test_remote.py`). Send to a machine of yours and switch off the Wi-Fi.
# * Plans for GPUs are counted, not measured. One step on eight GPUs would tell how far they are off.
# * A host may vanish with its disk. Fetch checkpoints that you want to keep.
#
# **Read**: *ZeRO* ([arXiv 1910.02054](https://arxiv.org/abs/1910.02054)), which shares out weights, gradients and
# moments; *PyTorch FSDP* ([arXiv 2304.11277](https://arxiv.org/abs/2304.11277)); [docs/scale.md](../docs/scale.md).

# %%
import platform
from importlib.metadata import version

sizes = ", ".join(SIZE) or "as in the config"
print(f"setting {SETTING}{' (fast)' if FAST else ''}; sent run from {RL} with {sizes}, seed 0")
print("labkit", version("labkit"), "| torch", version("torch"), "| Python", platform.python_version())
