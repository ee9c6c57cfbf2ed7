# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # V-IRL: a walk by instruction
#
# **By the end you will have shown** that one instruction serves two action rules, that the verifier separates wrong
# actions from wrong observations, and that a random player never arrives, although about one of its answers
# in ten is right.
#
# *For* anyone who has seen [the tour](00_tour.ipynb). *Time*: 30 minutes; all cells together run in under a minute on
# two CPU cores, offline. *You will be able to*
#
# * read a route, its instruction and its four views, and give the right action under either rule;
# * predict a verdict, and name the part of the answer that decides it;
# * explain why per-step accuracy and route success are so far apart, and which of the two a paper reports;
# * bring your own streets, in the layout of the paper's authors.
#
# The task is the paper's second one ([arXiv 2501.17161](https://arxiv.org/abs/2501.17161), section 4.2): walk to a
# destination, one action at a time. Here is a route through Latticeport, the city that models are trained in, seen
# from above. The player never gets this map.

# %%
from IPython.display import HTML

from labkit.envs import game, judge, prompt, start
from labkit.views.markup import standalone
from labkit.views.virl import instruction_html, map_html

words, pictures = game("virl-l"), game("virl-vl")  # the two cells: told in words, shown in pictures
task = pictures.task_by_id("id", "dev", "10", picture={"size": 560})
episode = start(task)


def on_map(episode):
    return HTML(standalone(f'<div style="max-width: 600px">{map_html(episode)}</div>'))


on_map(episode)

# %% [markdown]
# What it gets instead is an **instruction** of two sentences for each turning point, and what it sees: four views,
# to the front, right, back and left.

# %%
import io

from IPython.display import Image


def show(picture, alt):
    """A picture that stays in the saved notebook, small."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return Image(file.getvalue(), alt=alt)


display(HTML(standalone(instruction_html(episode))))
show(pictures.draw(episode.position.picture["recipe"]), "Front, right, back and left at the start of the route")

# %% [markdown]
# The streets are drawn here, from a seed: the same pixels on every machine, and nothing to download. In the cell
# **virl-l** the player reads what it sees, in **virl-vl** it gets the picture. Apart from that the prompt is the
# same.

# %%
print(prompt(start(words.task_by_id("id", "dev", "10")))[0].text)

# %% [markdown]
# ## One step, two rules
#
# The rule says how a turn is named. `absolute` (the rule that is trained, suite `id`) takes compass words, `relative`
# (suite `rule-ood`) takes *left, right, slightly left, slightly right*, where "slightly" means 45 degrees at most.
# The instruction always says both, so either can be answered by reading.
#
# **Predict first.** You come along a street that leads northwest, heading 308 degrees, and have to go on due north. Which
# compass word, and which relative word?

# %%
from labkit.envs.virl.rail import action
from labkit.envs.virl.walk import rail_of

print(f"{'facing':>7} {'to':>5}   {'absolute':28} {'relative':28}")
for step in rail_of(task).steps:
    if step.action == "turn_direction":
        actions = [action(step, rule) for rule in ("absolute", "relative")]
        print(f"{step.heading:6.0f}° {step.leaving:4.0f}°   {actions[0]:28} {actions[1]:28}")

# %% [markdown]
# **Exercise 1.** Write the relative word yourself, from two headings in degrees. The first idea, and the
# authors' code, is to subtract; the check shows where that goes wrong. Further than 45° is `left` or `right`. An
# about-face counts as `right`, going straight on as `slightly left`.


# %% tags=["exercise"]
def relative_word(before, after):
    raise NotImplementedError("left, right, slightly left or slightly right")


# %%
from labkit.exercises import check

check("virl.relative_word", relative_word)

# %% [markdown]
# <details><summary>Hint</summary>
#
# From 350° to 10° the difference is −340, but you turn by 20. Bring the difference into the half-open interval from
# −180 to 180.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def relative_word(before, after):
#     angle = (after - before) % 360
#     if angle > 180:
#         angle -= 360
#     if angle < -45:
#         return "left"
#     if angle > 45:
#         return "right"
#     return "slightly left" if angle <= 0 else "slightly right"
# ```
#
# How wrong the plain difference is matters: an instruction with the wrong relative word is wrong only under the rule
# that is probed, so a model would seem not to generalise.
#
# </details>
#
# ## What the verifier says to a wrong action
#
# An answer names what is observed, which sentence applies, and the action. Let us walk to the first intersection with
# the **expert**, who knows the route, and answer wrongly there in two ways.

# %%
import json

while not episode.position.state["intersection"]:
    episode = judge(episode, pictures.expert(episode))
show(pictures.draw(episode.position.picture["recipe"]), "Front, right, back and left at the first intersection")


# %%
def answer(action, observation):
    return json.dumps({
        "current observation": observation,
        "current instruction": episode.position.state["instruction"],
        "action": action,
    })


print("The right answer:", pictures.expert(episode), "\n")
seen = "Duncan & Halden Tram Depot is in front of you. There is an intersection."
for observation in (seen, "No landmark is nearby. There is no intersection."):
    verdict = judge(episode, answer("turn_direction(left)", observation)).attempts[-1].verdict
    print(f"{verdict.category:18} {verdict.reward:+.1f}  {verdict.feedback}")

# %% [markdown]
# Both went on with a word of the *other* rule. The first observation is right, so only the action is wrong (−1). The second
# reports nothing where there are a landmark and an intersection, so the observation is wrong too (−1.5). If the action
# is right nothing else is judged: the observation is evidence, not part of the score.
#
# **Predict first**, then run: what does the verifier say to the right action with a blind observation? And to prose?

# %%
for text in (answer(episode.position.state["action"], "I see nothing."), "I would turn northwest here."):
    verdict = judge(episode, text).attempts[-1].verdict
    print(f"{verdict.category:18} {verdict.reward:+.1f}  {verdict.feedback}")

# %% [markdown]
# ## A walk
#
# A right action leads to the next step, and each step is a new dialogue; a wrong one is *not* executed, and the player
# may try once more. The paper's code walks like this, **on a rail**. Here the expert goes on to the end; front views
# only.

# %%
from PIL import Image as Picture

from labkit.play import play
from labkit.players.simple import Expert, Random

walked = play(episode, Expert())
views = [pictures.draw(p.picture["recipe"]).crop((0, 0, 278, 278)).resize((186, 186)) for p in walked.positions]
strip = Picture.new("RGB", (6 * 190, -(-len(views) // 6) * 190), "white")
for number, view in enumerate(views):
    strip.paste(view, (number % 6 * 190, number // 6 * 190))
print(", ".join(p.state["action"] for p in walked.positions))
show(strip, "The front views of the walk, step by step")

# %% [markdown]
# Each walk is stored as a record: what was seen, answered and judged at every step. Here a player answers in the right
# form, but at random: any action, any sentence, no landmark. Open a step to see its prompt.

# %%
from labkit.views.widgets.episodes import EpisodeViewer

blind = play(words.task_by_id("id", "dev", "10"), Random())
EpisodeViewer([blind]).static()

# %% [markdown]
# ## Chance never arrives
#
# There are ten actions, and two attempts at each step. The blind player now walks 200 routes that no model is trained on.

# %%
from labkit.views.widgets.predict import predict, reveal

predict("How many of them does it walk to the end?", ["none", "from 1 to 10", "more than 10"], key="virl.chance")

# %%
from labkit.evaluation import evaluate

chance = evaluate(Random(), "virl-l", "id", split="dev", episodes=200)
for name in ("per_step_accuracy", "route_success"):
    estimate = chance.details[name]
    low, high = estimate.ci95
    print(f"{name:18} {estimate.value:6.1%}   95% [{low:.1%}, {high:.1%}]   n = {estimate.n:g}")
steps = sorted(e.positions[0].state["steps"] for e in chance.episodes)
print(f"steps on a route: median {steps[len(steps) // 2]}, from {steps[0]} to {steps[-1]}")
arrived = sum(e.success for e in chance.episodes)
reveal("virl.chance", "none" if not arrived else "from 1 to 10" if arrived <= 10 else "more than 10")

# %% [markdown]
# The two numbers differ. The paper reports **per-step accuracy** where the rule changes (its figures 5 and 6: every
# answer is a sample) and **route success** where the city changes (figure 7). On a rail the second falls quickly, since
# every step has to be right within its two attempts.
#
# **Exercise 2.** A player is right with probability `p` in each attempt, whatever happened before. With what
# probability does it walk a route of `steps` steps, with two attempts at each?


# %% tags=["exercise"]
def arrives(p, steps):
    raise NotImplementedError("a probability")


# %%
check("virl.arrives", arrives)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A step fails only if both attempts are wrong.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def arrives(p, steps):
#     return (1 - (1 - p) ** 2) ** steps
# ```
#
# Over 13 steps chance (p = 0.1) arrives once in two billion times, p = 0.8 six times in ten. Real players are not like
# that: they fail again where they have failed. In the paper, with pictures and the changed rule, 45% of the answers are
# right after RL (figure 6), and about 1% of the routes arrive at best (figure 18).
#
# </details>
#
# ## On a rail, or free
#
# In **free navigation**, which is ours, a wrong action is executed: the walker goes there, and may find its way back. The
# walk succeeds if it stops within 25 m of the destination. Every point of the street is then a step. Below, a walker turns
# the wrong way and goes on for three steps before the expert takes over.

# %%
lost = start(words.task_by_id("id", "dev", "10", walk="free"))
for wrong in ("turn_direction(east)", "forward()", "forward()", "forward()"):
    lost = judge(lost, json.dumps({"action": wrong}))
found = play(lost, Expert())
print(f"{len(walked.positions)} steps on the rail, {len(found.positions)} free: {found.status}")
on_map(found)

# %%
free = evaluate(Random(), "virl-l", "id", split="dev", episodes=200, walk="free")
for name, result in (("on the rail", chance), ("free", free)):
    arrived = result.details["route_success"]
    low, high = arrived.ci95
    print(f"chance, {name:11} {arrived.value:.1%} of routes   95% [{low:.1%}, {high:.1%}]   n = {arrived.n:g}")

# %% [markdown]
# The two are different tasks, and their scores must not be compared: on the rail every step counts, in free
# navigation only the end. The paper compares its 77.8% (a rail) with an earlier system's 44.0% (free).
#
# ## Other cities
#
# The third suite, `visual-ood`, keeps the rule and changes the place: nine cities with other plans, houses, colours and
# landmarks; two routes in each make the *mini benchmark*. In words nothing changes, so only **virl-vl** has it.

# %%
from labkit.envs.virl.sources import routes

corners = Picture.new("RGB", (5 * 228, 2 * 228), "white")
benchmark = routes("visual-ood", "test")
for number, route in enumerate([routes("id", "dev")[10], *benchmark[::2]]):
    corner = next(m for m in route.milestones[1:] if m.sightings)
    where = {"city": route.city, "place": corner.place, "heading": corner.arriving, "size": 448}
    corners.paste(pictures.draw(where).crop((0, 0, 222, 222)), (number % 5 * 228, number // 5 * 228))
print("Latticeport,", ", ".join(route.city.capitalize() for route in benchmark[::2]))
show(corners, "A corner in each of the ten cities")

# %% [markdown]
# ## Your own streets
#
# The authors' download is a folder with a route file, a table of panoramas and the panoramas. `--data DIR`
# plays it. We write such a folder from our own city and read it back; the same is how you bring streets of your own.

# %%
import tempfile
from pathlib import Path

from labkit.envs.virl.authors.export import write_folder
from labkit.envs.virl.authors.panorama import equirectangular
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.records import to_point

home = city("latticeport")
some = routes("id", "dev")[10:11]
with tempfile.TemporaryDirectory() as name:
    read = write_folder(home, some, name, lambda p: equirectangular(home, to_point(p, home.origin), 192))
    print(*sorted(p.name for p in Path(name).iterdir()), sep="\n")
    print(*[f"  {p.name}" for p in sorted(Path(name, "street_views").iterdir())[:2]], "  ...", sep="\n")
    print("\nThe first leg, in the authors' layout:")
    print(json.loads(Path(name, "route_infos.json").read_text("utf-8"))[0][0]["milestone_info"].split("\n\n")[0])
    print("read back, equal:", read.routes == some)
    settings = {"data": name, "picture": {"size": 96}}
    print("walked:", play(next(pictures.tasks("id", **settings)), Expert()).status)

# %% [markdown]
# A panorama shows all around. To cut a view out of it one has to know where in it the view's middle lies: with the
# authors, ((heading − 180) mod 360 + rotation) mod 360 degrees to the right of the panorama's middle, where `rotation`
# comes with each panorama.
#
# **Exercise 3.** Our panoramas have rotation 0. Which column of one that is `width` pixels wide is the middle of the
# view to a heading? Columns run from 0 up to but not including the width; here is one of 1,024.

# %%
corner = some[0].milestones[1]
panorama = equirectangular(home, to_point(corner.place, home.origin), 512)
show(panorama, "The panorama of the first corner")


# %% tags=["exercise"]
def column(heading, width):
    raise NotImplementedError("a column of pixels")


# %%
check("virl.column", column)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The middle is column 512 of 1,024. How far to the right of it is a view to the east (90°)? Columns wrap.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def column(heading, width):
#     return (width / 2 + (heading - 180) % 360 * width / 360) % width
# ```
#
# A sign error here mirrors the world: signs are still readable, but left is right.
#
# </details>
#
# ## A model that reads
#
# `tiny:virl-l/init` is a language model with a million parameters that was trained for this lab: it has read walks
# along invented routes, in other words, and then a few expert answers to this prompt, under the trained rule.
#
# **Predict**: of `forward()`, `stop()` and turns, which will it get wrong? And what changes when turns are *left* and
# *right*?

# %%
from labkit.players.registry import load

walker = load("tiny:virl-l/init")
results = {suite: evaluate(walker, "virl-l", suite, split="dev", episodes=20) for suite in ("id", "rule-ood")}
for suite, result in results.items():
    rates = {"all answers": result.details["per_step_accuracy"], "turns": result.details["turn_accuracy"]}
    rates |= {"other steps": result.details["other_accuracy"], "whole routes": result.details["route_success"]}
    for name, figure in rates.items():
        low, high = figure.ci95
        print(f"{suite:9} {name:13} {figure.value:4.0%}  [{low:4.0%}, {high:4.0%}]  n = {figure.n}")

# %%
EpisodeViewer(sorted(results["rule-ood"].episodes, key=lambda e: e.success)).static()

# %% [markdown]
# It has learnt when to walk on and when to stop. At corners it picks a sentence of the instruction, not always the right
# one. After two wrong attempts at a step the walk is over.
#
# ## What would change my mind
#
# * The drawn cities are legible on purpose: signs face the walker and grow with the distance. Success in pictures says
#   little about photographs, and failing here says a lot.
# * Only landmarks at turning points are named and judged; pictures show more signs, further away.
# * 200 routes bound a success rate of 0 by about 2%, not by 0; the mini benchmark's 18 routes by 18%.
#
# **Next**
# * `labkit play virl-l --route 10` lets you walk; `labkit eval virl-vl --player random --suite visual-ood --split test`
#   plays the mini benchmark.
# * Read: section 4.2 and appendix B of the paper; *V-IRL: Grounding Virtual Intelligence in Real Life*
#   ([arXiv 2402.03310](https://arxiv.org/abs/2402.03310)), where the task comes from; *Vision-and-Language Navigation*
#   ([arXiv 1711.07280](https://arxiv.org/abs/1711.07280)), which began it.

# %%
import platform
from importlib.metadata import version

print("labkit", version("labkit"), "| Pillow", version("pillow"), "| Python", platform.python_version())
