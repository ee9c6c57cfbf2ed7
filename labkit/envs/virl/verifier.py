"""The verifier of V-IRL: one verdict per answer, for any text.

Order of the checks and rewards: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), appendix B.3. When the
action is right nothing else is judged; the observation is evidence. Departures from the authors' code, each
on purpose:

* a wrong action's observation is checked against all that can be observed, the intersection included; theirs
  looks at the landmark text only and misfires at real intersections;
* valid JSON is read as what it is, and what is nearly JSON is read too (:mod:`labkit.envs.reading`);
* of the action, spelling does not matter where it is clear what is meant (:func:`parse_action`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from labkit.envs import settings
from labkit.envs.reading import LIMIT, last_object
from labkit.envs.virl import prompts
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.observation import Seen, seen
from labkit.episode import Position, Verdict

CATEGORIES = ("unreadable", "correct", "wrong_observation", "wrong_action")
"""In the order in which they are checked."""
REWARD: Mapping[str, Any] = {
    "unreadable": -1.0,
    "correct": 1.0,
    "wrong_observation": -1.5,
    "wrong_action": -1.0,
    "exhausted": -1.0,
}
"""The paper's rewards (appendix B.3)."""
FIELDS = ("current observation", "current instruction", "action")

_ACTION = re.compile(r"(forward|stop|turndirection)(?:\((?:(?:x|direction|heading)[=:])?([a-z]*)\))?[.;]?")
_PLAIN = str.maketrans("【】[]{}<>", "()()()()", "\"'`“”‘’*")
_BETWEEN = re.compile(r"(?<=[a-z])[\s_‐‑-]+(?=[a-z])|\s+")
"""What joins or parts two words, and space anywhere."""
_WORDS = {word.replace(" ", ""): word for words in ACTIONS.values() for word in words}


class Action(NamedTuple):
    """An action as read."""

    name: str
    """``forward``, ``stop`` or ``turn_direction``."""
    word: str = ""
    """Where to turn: a word of either action rule, or empty."""

    @property
    def text(self) -> str:
        """As it is written: ``turn_direction(slightly left)``."""
        return f"{self.name}({self.word})"

    @property
    def rule(self) -> str:
        """The action rule that the word belongs to; empty where both have the action."""
        return next((rule for rule, words in ACTIONS.items() if self.word in words), "")


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as read, before any rule is applied to it."""

    fields: Mapping[str, Any]
    """The three fields as the player gave them; empty when unreadable."""
    action_span: tuple[int, int] | None = None
    """Character offsets of the action in the answer: the decisive field."""
    action: Action | None = None
    """None if the field is no action of either rule."""

    @property
    def observation(self) -> str:
        """What the player says is observed; empty if that is not text."""
        observation = self.fields.get("current observation")
        return observation if isinstance(observation, str) else ""


def read(answer: str) -> Reading:
    """Read an answer. Never raises, whatever the text; takes linear time."""
    return _read(answer) if len(answer) <= LIMIT else Reading({})


@lru_cache(maxsize=1024)
def _read(answer: str) -> Reading:
    """Cached, since an answer is judged under both rules and looked at again with the next attempt."""
    found = last_object(answer, "action")
    if found is None:
        return Reading({})
    named = {key.replace("_", " "): value for key, value in found.fields.items()}
    fields = {key: named[key] for key in FIELDS if key in named}
    action = fields["action"]
    return Reading(fields, found.spans["action"], parse_action(action) if isinstance(action, str) else None)


def done(position: Position) -> Action:
    """The action that led on from a position.

    Raises:
        ValueError: its last answer is no action, so the position was not left.
    """
    action = read(position.attempts[-1].answer).action
    if action is None:
        raise ValueError("the last answer at this position is no action, so nothing led on from it")
    return action


def parse_action(text: str) -> Action | None:
    """Read ``turn_direction(north)``.

    Case, spaces, quotes and empty brackets do not matter, nor does a hyphen between two words, full-width letters,
    other brackets, or the argument's name (``x=``, ``direction=``, ``heading=``). None for anything that is not an
    action of either rule.
    """
    if len(text) > 200:
        return None
    plain = unicodedata.normalize("NFKC", text).lower().translate(_PLAIN)
    match = _ACTION.fullmatch(_BETWEEN.sub("", plain))
    if match is None:
        return None
    name, word = match[1], match[2] or ""
    if name in ("forward", "stop"):
        return Action(name) if not word else None
    return Action("turn_direction", _WORDS[word]) if word in _WORDS else None


class Truth(NamedTuple):
    """What an answer is judged against."""

    action: str
    """The right one, as text."""
    actions: str
    """The action rule."""
    seen: Seen
    """All that can be observed."""
    also: tuple[str, ...] = ()
    """Other actions that are as right."""
    elsewhere: Sequence[str] = ()
    """Landmarks of the route: naming one where there is none is a claim to see it."""


def verdict(
    reading: Reading,
    truth: Truth,
    *,
    reward: Mapping[str, Any] = REWARD,
    templates: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge a reading."""
    if not reading.fields:
        feedback = prompts.feedback("unreadable", prompts=templates)
        return Verdict("unreadable", False, float(reward["unreadable"]), feedback, {"failed": ["unreadable"]})
    action = reading.action
    faults = contradictions(reading.observation, truth.seen, truth.elsewhere)
    right = action is not None and action.text in (truth.action, *truth.also)
    allowed = action is not None and action.rule in ("", truth.actions)
    failed = ([] if right else ["wrong_action"]) + (["wrong_observation"] if faults else [])
    if right:
        category, reason = "correct", ""
    elif faults:
        category, reason = "wrong_observation", ", and ".join(faults.values())
    else:
        category, reason = "wrong_action", _action_fault(action, allowed, truth.actions)
    evidence = {
        "expected_action": truth.action,
        "action": action.text if action else None,
        "action_allowed": allowed,
        "landmark_right": "landmark" not in faults,
        "intersection_right": "intersection" not in faults,
        "failed": failed,
    }
    feedback = prompts.feedback(category, reason=reason, prompts=templates)
    return Verdict(category, right, float(reward[category]), feedback, evidence)


def contradictions(stated: str, truth: Seen, elsewhere: Sequence[str] = ()) -> dict[str, str]:
    """How a stated observation contradicts the true one: ``landmark``, ``intersection``, each in words.

    What is not mentioned counts as not seen. Of several landmarks one is enough.
    """
    claimed = seen(stated, (*truth.landmarks, *elsewhere))
    faults = {}
    if truth.landmarks and not set(truth.landmarks) & set(claimed.landmarks):
        faults["landmark"] = "a landmark is missing from it"
    elif claimed.landmarks and not truth.landmarks:
        faults["landmark"] = "it names a landmark where there is none"
    if claimed.intersection != truth.intersection:
        faults["intersection"] = (
            "an intersection is missing from it"
            if truth.intersection
            else "it names an intersection where there is none"
        )
    return faults


def _action_fault(action: Action | None, allowed: bool, actions: str) -> str:
    """Why an action is wrong, in words that do not tell the right one."""
    if action is None:
        return "that is not one of the actions"
    if not allowed:
        return f"turn_direction takes {', '.join(ACTIONS[actions])}"
    return f"not {action.text}"


def check_reward(table: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The default table with the given entries in its place.

    Raises:
        UsageError: an entry that does not exist, or is not a number.
    """
    return settings.reward_table(REWARD, table)
