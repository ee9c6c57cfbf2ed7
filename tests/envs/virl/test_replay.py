"""The same seed gives the same steps, words and pixels in every process.

The digests are written down so that a machine, or a version of a library, that deals others is noticed: what
was stored before could not be replayed there.
"""

import os
import subprocess
import sys

import pytest

# Of routes in two cities: how many steps, and digests of the rail, of the prompts and of the pictures.
CODE = """
import hashlib
from labkit.envs import game
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.walk import rail_of
from labkit.play import play
from labkit.players.simple import Expert

def digest(what):
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]

for name, actions in (("latticeport", "absolute"), ("latticeport", "relative"), ("oldwick", "absolute")):
    route = routes(city(name), 3, 0, "eval")[2]
    task = game("virl-vl").task(route=route, actions=actions, key="3", picture={"size": 64})
    episode = play(task, Expert())
    rail = [(s.place, s.heading, s.sightings, s.action, s.leaving, s.sentence) for s in rail_of(task).steps]
    print(name, actions, len(rail), digest(rail), digest([p.prompt for p in episode.positions]),
          digest([p.picture["hash"] for p in episode.positions]))
"""
PINNED = [
    "latticeport absolute 9 e677aeb844d11672 dca5da60a21e40b9 d9674349ddea9314",
    "latticeport relative 9 e677aeb844d11672 6dfa9c40c979df13 d9674349ddea9314",
    "oldwick absolute 13 5295b86610190598 24f044172635dc83 c367cb877fdee381",
]


@pytest.mark.parametrize(("hashes", "threads"), [("1", "1"), ("2", "2")])
def test_another_process_walks_the_same_steps_in_the_same_words_and_pixels(hashes, threads):
    env = {**os.environ, "PYTHONHASHSEED": hashes, "OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.splitlines() == PINNED
