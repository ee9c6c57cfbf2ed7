"""What labkit deals and stores as rows that Hugging Face's ``datasets`` reads: dialogues, deals, episodes, measures.

Files written by :func:`labkit.interop.tables.write` open with ``load_dataset("json", data_files=...)`` or
``load_dataset("parquet", data_files=...)``. The columns are below and, in words, in ``docs/interop.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from labkit.envs import game, start
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.interop import pictures
from labkit.interop.tables import IMAGE
from labkit.runs import Run

DIALOGUES = {"messages": [{"role": str, "content": str, "weight": int}]}
"""A weight of 0: the answer carries no loss."""

_DEAL = {"id": str, "cell": str, "suite": str, "split": str, "seed": int, "index": int}

DEALS = {**_DEAL, "prompt": str, "answer": str, "task": str}
"""The first prompt, the expert's answer to it, and the task as JSON (:class:`labkit.episode.Task`)."""

EPISODES = {
    "run": str,
    "name": str,
    "number": int,
    **_DEAL,
    "player": str,
    "status": str,
    "success": bool,
    "reward": float,
    "turns": [
        {
            "position": int,
            "attempt": int,
            "prompt": str,
            "answer": str,
            "category": str,
            "success": bool,
            "reward": float,
            "feedback": str,
            "other_rule_success": bool,
            "tags": [str],
            "tokens": int,
            "logp": float,
        }
    ],
    "record": str,
}
"""``run``, ``name`` and ``number`` say where the episode is stored; ``record`` is all of it, as JSON."""

MEASURES = {
    "run": str,
    "player": str,
    "cell": str,
    "suite": str,
    "split": str,
    "measure": str,
    "value": float,
    "n": int,
    "low": float,
    "high": float,
}
"""``low`` and ``high``: the 95% interval."""


def deal_columns(cell: str) -> dict[str, Any]:
    """The columns of a cell's deals: :data:`DEALS`, and the picture where the cell shows one."""
    return {**DEALS, "image": IMAGE} if game(cell).pictured else dict(DEALS)


def deal_row(task: Task) -> dict[str, Any]:
    """A task as a row of :func:`deal_columns`."""
    episode = start(task)
    shown = episode.position.picture
    row = {
        **_deal(task),
        "prompt": episode.position.prompt,
        "answer": game(task.cell).expert(episode),
        "task": json.dumps(asdict(task), ensure_ascii=False),
    }
    if shown:
        row["image"] = {"bytes": pictures.png(task.cell, shown["recipe"]), "path": None}
    return row


def episode_row(episode: Episode, run: str = "", name: str = "", number: int = 0) -> dict[str, Any]:
    """An episode as a row of :data:`EPISODES`; ``run``, ``name`` and ``number`` say where it is stored."""
    turns = [
        {
            "position": at,
            "attempt": number_here,
            "prompt": position.prompt,
            "answer": attempt.answer,
            "category": attempt.verdict.category,
            "success": attempt.verdict.success,
            "reward": float(attempt.reward),
            "feedback": attempt.verdict.feedback,
            "other_rule_success": attempt.other_rule.success if attempt.other_rule else None,
            "tags": list(attempt.tags),
            "tokens": attempt.sample.tokens if attempt.sample else None,
            "logp": attempt.sample.logp if attempt.sample else None,
        }
        for at, position in enumerate(episode.positions)
        for number_here, attempt in enumerate(position.attempts)
    ]
    return {
        "run": run,
        "name": name,
        "number": number,
        **_deal(episode.task),
        "player": episode.player,
        "status": episode.status,
        "success": episode.success,
        "reward": float(episode.reward),
        "turns": turns,
        "record": episode.to_json(),
    }


def episode_rows(run: Run, names: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The stored episodes of a run, all or those stored under some names, as rows of :data:`EPISODES`."""
    for name in run.episode_names() if names is None else names:
        for number, episode in enumerate(run.episodes(name)):
            yield episode_row(episode, run.id, name, number)


def measure_rows(run: Run) -> Iterator[dict[str, Any]]:
    """All numbers of an evaluation, as rows of :data:`MEASURES`; of nested ones the names are joined by dots.

    A count, such as how often a failure tag occurs, has a value and no interval.

    Raises:
        UsageError: the run is no finished evaluation.
    """
    try:
        results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"{run.id} has no results.json, so it is no finished evaluation; name one") from None
    for suite, found in results["suites"].items():
        about = {"run": run.id, "player": results["player"], "cell": results["cell"], "suite": suite}
        about["split"] = found["split"]
        headline = {key: found[key] for key in ("value", "n", "ci95")}
        yield {**about, "measure": found["metric"], **_estimate(headline)}
        rest = {key: value for key, value in found.items() if key not in ("value", "n", "ci95", found["metric"])}
        yield from ({**about, **row} for row in _numbers(rest, ""))


def _numbers(found: Mapping[str, Any], above: str) -> Iterator[dict[str, Any]]:
    for key, value in found.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and {"value", "n"} <= value.keys():
            yield {"measure": name, **_estimate(value)}
        elif isinstance(value, Mapping):
            yield from _numbers(value, f"{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield {"measure": name, **_estimate({"value": value, "n": None, "ci95": None})}


def _estimate(found: Mapping[str, Any]) -> dict[str, Any]:
    low, high = found["ci95"] or (None, None)
    value = None if found["value"] is None else float(found["value"])
    return {"value": value, "n": found["n"], "low": low, "high": high}


def _deal(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _DEAL}
