"""A rule that walks by the words of the prompt alone: what a player who looks has to beat.

The instruction says where to turn, the observation whether there is an intersection, the history what was done. Only on
the last leg these words leave it open whether to stop or to go on; there the rule goes by how many points a last leg
has in most routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.envs.virl import prompts, verifier
from labkit.envs.virl.answers import answer_text
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.walk import instruction_of
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Episode

LAST_LEG = 3
"""After so many points of the last leg, to stop is right more often than to go on: of the training routes that get so
far, 10, 26, 41, 62, 93 and 100% end after 0 to 5 points."""


def answer(episode: Episode) -> str:
    """The answer at the open position of a walk on the rail.

    Raises:
        UsageError: the walk is free, where a history does not tell how much of the instruction is done.
    """
    task, here = episode.task, episode.position
    if task.rule.get("walk") == "free":
        raise UsageError("the rule by words alone walks on the rail only; leave --walk free out")
    sentences, intersection = instruction_of(task), here.state["intersection"]
    at = points = 0
    for position in episode.positions[:-1]:
        turned = verifier.done(position).name == "turn_direction"
        # A sentence that leads on is done where the next turn is made.
        at, points = (at + 1 + at % 2, 0) if turned else (at, points + 1)
    if at % 2 and intersection:
        at += 1
    last = at == len(sentences) - 1
    if at % 2 == 0 and not last:
        action = f"turn_direction({_turn(sentences[at], task.rule['actions'])})"
    else:
        stops = last and (at % 2 == 0 or points >= LAST_LEG)
        # A wrong answer on the last leg leaves the other one.
        action = "stop()" if stops != (last and bool(here.attempts)) else "forward()"
    return answer_text(
        prompts.observation((), intersection, withheld=True, prompts=task.prompts), sentences[at], action
    )


def _turn(sentence: str, actions: str) -> str:
    """The word of an action rule in a sentence that says to turn."""
    found = [word for word in ACTIONS[actions] if word in sentence]
    # "northwest" holds "north" and "west", "slightly left" holds "left".
    return max(found, key=len, default=ACTIONS[actions][0])
