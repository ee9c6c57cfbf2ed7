"""A catalogue without weights, and recordings of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.shared import recordings
from app.shared.catalogue import Catalogue
from labkit.episode import Sample
from labkit.errors import UsageError
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert, Script


def answer(ranks: str, number: list[int], formula: str) -> str:
    return json.dumps({"cards": ranks.split(), "number": number, "formula": formula})


TRAP = (
    answer("K 6 2 4", [10, 6, 2, 4], "10+6+2*4=24"),
    answer("K 6 2 4", [13, 6, 2, 4], "13+6+2*4=24"),
    answer("K 6 2 4", [13, 6, 2, 4], "(13-4)*2+6=24"),
)
"""Three attempts at K 6 2 4 with K = 13: for the other rule, a wrong value, right."""


class Cut:
    """A model: it can be stopped inside an answer, which is then cut off."""

    name = "cut"
    should_stop = None

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        attempt = len(turns[0].episode.position.attempts)
        cut = self.should_stop()
        sample = Sample(9, 90, 0.1, self.temperature, -1.0, truncated=cut)
        return [Answer(TRAP[attempt][: 20 if cut else None], sample)]


class Broken:
    name = "broken"

    def answer(self, turns: object) -> list[Any]:
        raise RuntimeError("the <b>weights</b> are torn")


class Stubborn:
    """Walks rightly until the first intersection, and stops there, twice."""

    name = "stubborn"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        if turns[0].episode.position.state["intersection"]:
            return [Answer('{"action": "stop()"}')]
        return Expert().answer(turns)


def load(spec: str, *, temperature: float) -> Any:
    if spec == "stubborn":
        return Stubborn()
    if spec == "broken":
        return Broken()
    if spec == "cut":
        return Cut(temperature)
    if spec == "gone":
        raise UsageError("gone is not there; train it first")
    return Expert() if spec == "expert" else Script(TRAP, spec)


def info(spec: str, kind: str) -> PlayerInfo:
    return PlayerInfo(spec=spec, kind=kind, summary=f"what {spec} is", path=None, card=None)


@pytest.fixture
def trap() -> tuple[str, ...]:
    return TRAP


@pytest.fixture
def catalogue() -> Catalogue:
    """``trap`` answers K 6 2 4 in three attempts; ``broken`` and ``gone`` fail, each in its own way."""
    kinds = {"trap": "script", "expert": "expert", "broken": "rl", "gone": "rl", "cut": "rl"}
    return Catalogue([info(spec, kind) for spec, kind in kinds.items()], load)


@pytest.fixture
def walkers() -> Catalogue:
    """``stubborn`` fails at the first intersection; the expert arrives."""
    kinds = {"stubborn": "rl", "expert": "expert", "broken": "rl"}
    return Catalogue([info(spec, kind) for spec, kind in kinds.items()], load)


@pytest.fixture
def fresh_catalogue() -> Catalogue:
    """What a machine without a checkpoint has."""
    return Catalogue([info("expert", "expert")], load)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[[str], None]:
    """Put lines where a cell's bundled recordings are read from; without a call there are none."""
    monkeypatch.setattr(recordings, "BUNDLED", tmp_path)
    recordings.recordings.cache_clear()

    def write(lines: str, cell: str = "gp-l") -> None:
        (tmp_path / cell).mkdir(exist_ok=True)
        (tmp_path / cell / "recorded.jsonl").write_text(lines, encoding="utf-8")
        recordings.recordings.cache_clear()

    yield write
    recordings.recordings.cache_clear()
