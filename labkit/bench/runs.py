"""The index of stored episodes beside the plain scan that one writes first: read every record, keep what fits.

The records are copies of played episodes with numbers of their own. The plain way parses each line as JSON and no more;
an index has to do so once, so its ratio there is below 1, and above 1 wherever it is asked afterwards.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from labkit.bench.timing import Row, Work, compare
from labkit.envs import game, judge, start
from labkit.runs import Run
from labkit.runs.index import Index

EPISODES = 5000
PLAYED = 200
"""Different episodes, of which the others are copies."""
TEXT = "(3-1)*"
_PLAIN = "json.loads of every line, then a loop"


def figures() -> int:
    """How many rows there will be."""
    return 6


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time building the index, extending it, and queries.

    Raises:
        AssertionError: the two ways count differently.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        run = Run.create(root, "eval", "stage: eval\n")
        path = run.add_episodes("id", ())
        lines = records()
        path.write_text("".join(lines), encoding="utf-8")
        built = count()

        def build(_: int) -> int:
            with Index(root, cache=Path(folder) / f"index-{next(built)}") as index:
                return index.select().episodes

        def scan(_: int) -> int:
            return sum(1 for _ in stored(path))

        yield compare("runs", "build the index", "episodes/s", build, scan, "json.loads of every line", rounds)
        with Index(root, cache=Path(folder) / "index") as index:

            def extend(_: int) -> int:
                with path.open("a", encoding="utf-8") as handle:
                    handle.writelines(lines[:PLAYED])
                index.refresh()
                return PLAYED

            timed: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
                (
                    "count by two conditions",
                    lambda: index.select(category="wrong_value", turns=(2, 4)).attempts,
                    lambda: sum(a["verdict"]["category"] == "wrong_value" and 2 <= n <= 4 for a, n in answers(path)),
                ),
                (
                    "count tags",
                    lambda: {facet.value: facet.attempts for facet in index.select().facet("tag")},
                    lambda: Counter(tag for attempt, _ in answers(path) for tag in attempt["tags"]),
                ),
                (
                    "find a text",
                    lambda: index.select(text=TEXT).attempts,
                    lambda: sum(TEXT in attempt["answer"].lower() for attempt, _ in answers(path)),
                ),
                (
                    "the 50 longest episodes",
                    lambda: [row.turns for row in index.select().rows(sort="turns", descending=True, unit="episode")],
                    lambda: sorted((_turns(record) for record in stored(path)), reverse=True)[:50],
                ),
            ]
            for what, ours, plain in timed:
                assert ours() == plain(), f"the two ways disagree: {what}"
                yield compare("runs", what, "queries/s", _once(ours), _once(plain), _PLAIN, rounds)
            yield compare(
                "runs", "take in new episodes", "episodes/s", extend, scan, "json.loads of every line", rounds
            )


def records() -> list[str]:
    """Lines of an episode file: a random player's episodes, copied with other numbers."""
    cell, rng = game("gp-l"), random.Random("bench/runs")
    played = []
    for task in islice(cell.tasks("id"), PLAYED):
        episode = start(task, "random")
        while not episode.done:
            episode = judge(episode, cell.random(episode, rng))
        played.append(episode.to_json())
    return [played[n % PLAYED].replace('"index":', f'"index":{n}', 1) + "\n" for n in range(1, EPISODES + 1)]


def stored(path: Path) -> Iterator[dict[str, Any]]:
    """The records, one after the other."""
    with path.open(encoding="utf-8") as handle:
        yield from map(json.loads, handle)


def answers(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Every attempt, and how many its episode has."""
    for record in stored(path):
        for position in record["positions"]:
            for attempt in position["attempts"]:
                yield attempt, _turns(record)


def _turns(record: dict[str, Any]) -> int:
    return sum(len(position["attempts"]) for position in record["positions"])


def _once(query: Callable[[], Any]) -> Work:
    def work(_: int) -> int:
        query()
        return 1

    return work
