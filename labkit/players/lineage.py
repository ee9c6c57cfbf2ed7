"""Checkpoints in the order of training: those of a run, and before them the models that it started from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from labkit.players.registry import PlayerInfo
from labkit.runs import store


class Origin(NamedTuple):
    """Where a checkpoint is from."""

    run: str
    """The run's id."""
    step: int
    config: Mapping[str, Any]
    """The run's settings; ``model`` names the player that it started from."""

    @property
    def stage(self) -> str:
        """``pretrain``, ``sft`` or ``rl``; empty where the run does not say."""
        return str(self.config.get("stage", ""))

    @property
    def cell(self) -> str:
        """The cell that was trained on; empty where the run does not say."""
        return str(self.config.get("cell") or "")


@dataclass(frozen=True, slots=True)
class Lineage:
    """The checkpoints on the way to a run's last one."""

    last: Origin
    specs: tuple[str, ...]
    """The players, from the model at the very beginning to the run's last checkpoint."""


def origin(info: PlayerInfo) -> Origin | None:
    """The run and step of a checkpoint, from its card or its run's folder; None of other players."""
    card = info.card
    if card and {"run", "steps", "config"} <= card.keys():
        return Origin(str(card["run"]), int(card["steps"]), card["config"])
    if info.kind != "run" or info.path is None:
        return None
    run = store.Run(info.path.parents[1])
    try:
        config = run.config
    except (OSError, ValueError, yaml.YAMLError):
        # A damaged run has no settings, and so no beginning that is known.
        config = {}
    return Origin(run.id, int(info.path.name.removeprefix("step-")), config)


def lineages(infos: Iterable[PlayerInfo]) -> list[Lineage]:
    """The lineage of each run with two checkpoints or more on the way; a run that others start from is part of theirs.

    Only players among ``infos`` are stops.
    """
    origins = {info.spec: found for info in infos if (found := origin(info)) is not None}
    by_run: dict[str, list[str]] = {}
    for spec in sorted(origins, key=lambda spec: origins[spec].step):
        by_run.setdefault(origins[spec].run, []).append(spec)
    ways = [Lineage(origins[specs[-1]], (*_before(specs[0], origins, by_run), *specs)) for specs in by_run.values()]
    inner = {spec for way in ways for spec in way.specs[:-1]}
    return [way for way in ways if len(way.specs) > 1 and way.specs[-1] not in inner]


def _before(spec: str, origins: Mapping[str, Origin], by_run: Mapping[str, list[str]]) -> list[str]:
    """The players that the run of a checkpoint goes back to, the first one first."""
    found: list[str] = []
    start = _start(origins[spec], by_run)
    while start in origins and start not in found and origins[start].run != origins[spec].run:
        found.insert(0, start)
        start = _start(origins[start], by_run)
    return found


def _start(of: Origin, by_run: Mapping[str, list[str]]) -> str:
    """The player that a run started from; a run without a step stands for its last checkpoint."""
    named = str(of.config.get("model"))
    return by_run.get(named.removeprefix("run:"), [named])[-1]
