"""The bundled episodes: what a window shows before anything is played."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from app.shared.window import Shown, same_deal
from labkit.episode import Episode, Task

BUNDLED = files("labkit") / "bundled"


@cache
def recordings(cell: str) -> tuple[Episode, ...]:
    """The bundled episodes of a cell; none where the file is missing."""
    path = BUNDLED / cell / "recorded.jsonl"
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Episode.from_json(line) for line in lines if line.strip())


def recorded(task: Task, player: str | None) -> Shown | None:
    """The recorded episode of this deal by this player, if there is one. Recordings have seed 0."""
    found = (e for e in recordings(task.cell) if e.player == player and same_deal(e.task, task))
    return next((Shown(episode, "recorded", _temperature(episode)) for episode in found), None)


def _temperature(episode: Episode) -> float:
    return next((a.sample.temperature for a in episode.attempts if a.sample), 0.0)
