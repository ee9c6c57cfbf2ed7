"""Measure what the app's story shows: how sure each player was of its decisive choice, and all held-out deals.

    python scripts/story.py [CELL ...]

The picked deals and their recorded episodes are those of ``scripts/presets.py``: run that first when the bundled
players have changed. Success at temperature 0 and at the cell's own is read from the players' cards; Init is played at
the other temperatures here, on the same deals.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bundle import measured

import app.story
from app.shared.recordings import recorded
from app.story.chapters import CHAPTERS, EARLY, SUITES, Chapter
from labkit.envs import fork
from labkit.evaluation.choices import choices
from labkit.evaluation.metrics import wilson
from labkit.players import registry

TRIED = (0.3, 0.6, 1.0)
"""Init's further temperatures."""


def sure(chapter: Chapter, suite: str) -> dict[str, dict[str, float]]:
    """The probability of each candidate of the decisive field, by player; of the players that came to answer it."""
    found = {}
    for title, spec in chapter.players.items():
        shown = recorded(chapter.settings[suite].task, spec)
        field = chapter.field(shown.episode) if shown else None
        if shown and field:
            answer = shown.episode.positions[field.position].attempts[0].answer
            opened = fork(shown.episode, 0, field.position)
            probabilities = choices(registry.load(spec, device="cpu"), opened, answer, field.span, field.candidates)
            found[title] = {candidate: round(p, 4) for candidate, p in probabilities.items()}
    return found


def early(spec: str) -> dict[str, str]:
    """The earliest bundled checkpoint of a player's training, with its name in the story; empty if none is bundled."""
    found = (re.fullmatch(rf"{re.escape(spec)}@(\d+)", info.spec) for info in registry.players())
    steps = sorted((int(match[1]), match[0]) for match in found if match)
    return {EARLY: steps[0][1]} if steps else {}


def rows(chapter: Chapter) -> dict[str, list[dict[str, Any]]]:
    """How each player did on all held-out deals, by suite."""
    players = chapter.players
    named = {"Init": players["Init"], **early(players["SFT"]), "SFT": players["SFT"], "RL": players["RL"]}
    found: dict[str, list[dict[str, Any]]] = {suite: [] for suite in SUITES}
    for name, spec in named.items():
        card = registry.info(spec).card
        by_temperature: dict[float, Mapping[str, Any]] = {0.0: card["results"], card["temperature"]: card["sampled"]}
        for temperature in TRIED if name == "Init" else ():
            if temperature not in by_temperature:
                by_temperature[temperature] = measured(spec.removeprefix("tiny:"), chapter.cell, temperature)
        for temperature, suites in sorted(by_temperature.items()):
            for suite in SUITES:
                found[suite].append(row(name, spec, temperature, suites[suite]))
    return found


def row(name: str, spec: str, temperature: float, result: Mapping[str, Any]) -> dict[str, Any]:
    headline = held_out(result["splits"])
    done = headline if result["metric"] == "success" else result["within"][str(result["attempts"])]
    return {"name": name, "player": spec, "temperature": temperature, "done": done, "headline": headline}


def held_out(splits: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The headline number over all splits but the one of training."""
    kept = [share for split, share in splits.items() if split != "train"]
    if len(kept) == 1:
        return kept[0]
    n = sum(share["n"] for share in kept)
    value = sum(share["value"] * share["n"] for share in kept) / n
    return {"value": value, "n": n, "ci95": list(wilson(value, n))}


def write(file: Path, cells: Iterable[str]) -> None:
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for cell in cells:
        chapter = CHAPTERS[cell]
        temperature = registry.info(chapter.players["Init"]).card["temperature"]
        choices_of = {suite: sure(chapter, suite) for suite in SUITES}
        stored[cell] = {"temperature": temperature, "choices": choices_of, "rows": rows(chapter)}
    file.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"{' or '.join(CHAPTERS)} (default: both)")
    args = parser.parse_args()
    write(Path(app.story.__file__).with_name("story.json"), args.cells or CHAPTERS)


if __name__ == "__main__":
    main()
