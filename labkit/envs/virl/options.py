"""The options of V-IRL on the command line and in the app, and its JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.envs.games import Option
from labkit.envs.lines import Judge, required
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.envs.virl.game import VIRL
    from labkit.episode import Task


def _route(game: VIRL, route: str, *, suite: str | None, split: str | None, seed: int, **settings: Any) -> Task:
    return game.task_by_id(suite or "id", split or "all", route, seed=seed, **settings)


OPTIONS = (
    Option("route", "number (from 0) or id of a route in the suite and the split", metavar="N", task=_route),
    Option(
        "actions",
        "absolute or relative: what turn_direction takes (default: the suite's)",
        metavar="RULE",
        suggested=("absolute", "relative"),
    ),
    Option(
        "walk",
        "rail (default): wrong actions are not executed; free: they are, and where one stops counts",
        metavar="W",
        suggested=("rail", "free"),
    ),
    Option("data", "routes in the authors' layout (default: the embedded cities)", metavar="DIR"),
)


def line(cell: str) -> Judge:
    """Judges ``{"action": "...", "observation": "...", "answer": "...", "actions": "absolute"}``."""
    from labkit.envs.virl import headings, observation, verifier

    def judge(entry: Mapping[str, Any]) -> Any:
        required(entry, "action", "observation", "answer")
        for name in ("action", "observation"):
            if not isinstance(entry[name], str):
                raise UsageError(f'"{name}" is text')
        actions = headings.check_actions(entry.get("actions", "absolute"))
        action = verifier.parse_action(entry["action"])
        if action is None or action.rule not in ("", actions):
            raise UsageError(f'"action" is one of the {actions} actions, such as forward(), not {entry["action"]!r}')
        truth = verifier.Truth(action.text, actions, observation.seen(entry["observation"]))
        return verifier.verdict(verifier.read(entry["answer"]), truth)

    return judge
