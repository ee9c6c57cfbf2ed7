"""What V-IRL says to a player: instruction, prompt and the verifier's feedback, as templates.

Sections follow the paper's appendix B (task, instruction, grid format, action space, history, output format);
the words are our own. ``--prompts FILE`` puts other templates in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.envs import settings
from labkit.envs.settings import fill
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.records import Sighting

DEFAULT: Mapping[str, str] = {
    "task": "Walk to the destination by the instruction, one action at a time.",
    "instruction": "Instruction:\n{instruction}",
    "grid": (
        "The picture shows the views to the front (top left), right (top right), back (bottom left) and left "
        "(bottom right)."
    ),
    "actions_absolute": "Actions: forward(), stop(), turn_direction(x) with x one of {words}.",
    "actions_relative": "Actions: forward(), stop(), turn_direction(x) with x one of {words}.",
    "history": "So far:\n{history}",
    "observed": "O{number}: {observation}",
    "acted": "A{number}: {action}",
    "format": 'Answer in JSON with "current observation", "current instruction" and "action".',
    "sentence": "{number}. {text}",
    "turn": "Turn {relative} to face {compass}.",
    "onward": "Move forward until the next intersection{where}.",
    "arrive": "Move forward until the destination{where}.",
    "here": "Stop: this is the destination{where}.",
    "where": ", where {landmarks}",
    "and": " and ",
    "landmark": "{name} is {relation}",
    "front": "in front of you",
    "right front": "ahead on your right",
    "right": "on your right",
    "right behind": "behind you on your right",
    "behind": "behind you",
    "left behind": "behind you on your left",
    "left": "on your left",
    "left front": "ahead on your left",
    "no_landmark": "No landmark is nearby.",
    "withheld": "Landmarks are in the picture.",
    "intersection": "There is an intersection.",
    "no_intersection": "There is no intersection.",
    "unreadable": 'There is no complete JSON object with an "action" in that answer.',
    "wrong_observation": "The action is wrong here, and so is the observation: {reason}.",
    "wrong_action": "The action is wrong here: {reason}.",
    "correct": "Correct.",
    "again": "Try again.",
}

_OPENING = ("instruction", "words", "history")
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "task": _OPENING,
    "instruction": _OPENING,
    "grid": _OPENING,
    "actions_absolute": _OPENING,
    "actions_relative": _OPENING,
    "history": _OPENING,
    "observed": ("number", "observation"),
    "acted": ("number", "action"),
    "format": _OPENING,
    "sentence": ("number", "text"),
    "turn": ("relative", "compass"),
    "onward": ("where",),
    "arrive": ("where",),
    "here": ("where",),
    "where": ("landmarks",),
    "landmark": ("name", "relation"),
    "wrong_observation": ("reason",),
    "wrong_action": ("reason",),
}
"""What each template is given. ``words`` are those of the actions, ``history`` ends with the newest observation."""
_ACTIONS = (
    "Move with forward(), turn with turn_direction(x), where x is one of {words}, and end with stop().",
    "Choose among forward(), stop() and turn_direction(x); x must be one of these: {words}.",
    "Possible actions are turn_direction(x), forward() and stop(). For x take one of {words}.",
)
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "task": (
        "You are on foot. Follow the instruction to its end; each answer is one action.",
        "Find your way: do what the instruction says, and say the next action.",
        "Navigate through the city as you are told, action by action.",
    ),
    "instruction": (
        "The way:\n{instruction}",
        "Follow these sentences in order:\n{instruction}",
        "Route description:\n{instruction}",
    ),
    "grid": (
        "In the picture you look to the front (top left), to the right (top right), back (bottom left) and to the left "
        "(bottom right).",
        "Four views make up the picture. Above: front, right. Below: back, left.",
        "The picture is a grid of views: front and right in its upper row, back and left in its lower one.",
    ),
    "actions_absolute": _ACTIONS,
    "actions_relative": _ACTIONS,
    "history": (
        "Observations (O) and actions (A) up to now:\n{history}",
        "Your walk until here:\n{history}",
        "What you saw and did:\n{history}",
    ),
    "format": (
        'Reply with a JSON object of three keys: "current observation", "current instruction" and "action".',
        'Give JSON only: what is seen in "current observation", the sentence to follow in "current instruction", what '
        'you do in "action".',
        'The answer is one JSON object that holds "current observation", "current instruction" and "action".',
    ),
}
"""Variants of sections of the prompt, for training with diverse prompts."""


def merged(prompts: Mapping[str, str] | None) -> Mapping[str, str]:
    """The default templates with the given ones in their place.

    Raises:
        UsageError: a template that does not exist, or is not text.
    """
    return settings.merged(DEFAULT, prompts)


def prompt_variant(number: int) -> dict[str, str]:
    """The templates of a prompt variant; see :func:`settings.prompt_variant`."""
    return settings.prompt_variant(DEFAULT, VARIANTS, number)


def landmarks(sightings: Sequence[Sighting], prompts: Mapping[str, str] | None = None) -> str:
    """``Cafe Luna is on your left and Old Bank is behind you``; empty where there are none."""
    templates = merged(prompts)
    return templates["and"].join(
        fill(templates["landmark"], name=name, relation=templates[relation]) for name, relation in sightings
    )


def observation(
    sightings: Sequence[Sighting],
    intersection: bool,
    *,
    withheld: bool = False,
    prompts: Mapping[str, str] | None = None,
) -> str:
    """What is observed, in words; ``withheld`` leaves the landmarks to the picture."""
    templates = merged(prompts)
    if withheld:
        seen = templates["withheld"]
    else:
        seen = f"{landmarks(sightings, prompts)}." if sightings else templates["no_landmark"]
    return f"{seen} {templates['intersection' if intersection else 'no_intersection']}".strip()


def opening(
    instruction: Sequence[str],
    actions: str,
    history: Sequence[tuple[str, str]],
    now: str,
    *,
    picture: bool,
    prompts: Mapping[str, str] | None = None,
) -> str:
    """The first user message of a step.

    Args:
        instruction: its sentences.
        actions: the action rule.
        history: observation and right action of each earlier step.
        now: the newest observation.
    """
    templates = merged(prompts)
    lines = []
    for number, (seen, done) in enumerate(history, 1):
        lines.append(fill(templates["observed"], number=number, observation=seen))
        lines.append(fill(templates["acted"], number=number, action=done))
    lines.append(fill(templates["observed"], number=len(history) + 1, observation=now))
    names = ["task", "instruction", "grid", f"actions_{actions}", "history", "format"]
    values = {
        "instruction": _numbered(instruction, templates),
        "words": ", ".join(ACTIONS[actions]),
        "history": "\n".join(lines),
    }
    # Each section is filled by itself: a landmark's name may hold braces.
    parts = [fill(templates[name], **values) for name in names if picture or name != "grid"]
    return "\n".join(part for part in parts if part)


def told(instruction: Sequence[str], prompts: Mapping[str, str] | None = None) -> str:
    """The section of the prompt that gives the instruction."""
    templates = merged(prompts)
    return fill(templates["instruction"], instruction=_numbered(instruction, templates))


def _numbered(instruction: Sequence[str], templates: Mapping[str, str]) -> str:
    return "\n".join(fill(templates["sentence"], number=n, text=text) for n, text in enumerate(instruction, 1))


def feedback(category: str, *, reason: str = "", prompts: Mapping[str, str] | None = None) -> str:
    """The verifier's sentence for a category."""
    templates = merged(prompts)
    sentence = fill(templates[category], reason=reason)
    return sentence if category == "correct" else f"{sentence} {templates['again']}".strip()
