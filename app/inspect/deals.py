"""The deals of stored episodes as a file that ``labkit eval --deals`` plays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from labkit.counting import counted
from labkit.runs import Run
from labkit.runs.index import Row


def saved(rows: Sequence[Row], root: Path) -> tuple[str, str]:
    """The lines of the file, each deal once, and what the page says of it.

    Args:
        rows: the episodes.
        root: the folder of their runs.

    Returns:
        No lines where the deals are of several cells.
    """
    if len({row.cell for row in rows}) > 1:
        return "", "These deals are of several cells; choose a cell first, since “labkit eval” plays one."
    wanted: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        wanted.setdefault((row.run, row.name), set()).add(row.episode)
    tasks = [
        json.dumps({"task": json.loads(episode.to_json())["task"]})
        for (run, name), numbers in wanted.items()
        for number, episode in enumerate(islice(Run(root / run).episodes(name), max(numbers) + 1))
        if number in numbers
    ]
    lines = list(dict.fromkeys(tasks))
    message = f"{counted(len(lines), 'deal')} saved. “labkit eval --deals FILE” plays such a file."
    return "".join(f"{line}\n" for line in lines), message
