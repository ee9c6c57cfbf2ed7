"""A task as it is walked: its rail and its instruction, from the plain data that the task holds."""

from __future__ import annotations

import json
from functools import lru_cache

from labkit.envs.virl import codec, sources
from labkit.envs.virl.instruction import sentences
from labkit.envs.virl.rail import Rail, rail
from labkit.episode import Task


def rail_of(task: Task) -> Rail:
    """The milestones as the instruction tells them, and the steps.

    In the image cell, points between milestones of which a folder has no panorama are left out.
    """
    return _walked(task)[0]


def instruction_of(task: Task) -> tuple[str, ...]:
    """The sentences of the instruction."""
    return _walked(task)[1]


def _walked(task: Task) -> tuple[Rail, tuple[str, ...]]:
    data = task.deal.get("data") if task.picture else None
    return _walk(json.dumps([task.deal["route"], task.deal["key"], task.prompts, data]))


@lru_cache(maxsize=256)
def _walk(asked: str) -> tuple[Rail, tuple[str, ...]]:
    """Cached, since every position of an episode asks again."""
    route, key, templates, data = json.loads(asked)
    walked = rail(codec.from_plain(route), key)
    if data:
        seen = (s for s in walked.steps if s.action != "forward" or sources.photographed(s.place, data))
        walked = walked._replace(steps=tuple(seen))
    return walked, sentences(walked.milestones, templates)
