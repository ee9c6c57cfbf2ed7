"""The Train tab's texts: how a run stands, its collapse lamps, its newest episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app import link
from app.inspect.settings import InspectSettings
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.training.rl.collapse import MEASURED, CollapseThresholds, exceeded
from labkit.views.markup import text

LAMPS = {
    "entropy": ("Entropy", "nats a token, at least"),
    "kl": ("KL to the initial policy", "nats a token, at most"),
    "spread": ("Spread of returns", "at least"),
}
"""Of each threshold: what it is called, and what the number is."""
NEWEST = 6
"""Sets of episodes that are listed."""


def nothing() -> str:
    """What stands where a run would be."""
    return (
        '<p class="lk lk-empty app-empty">Press Start to train the recipe on this machine, or choose a run to follow. '
        "Its curves, its signs of collapse and its newest episodes appear here.</p>"
    )


def standing(run: Run, metrics: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> str:
    """How a run stands, in a line."""
    config = run.config
    length = config.get("updates") or config.get("steps")
    done = metrics[-1]["step"] if metrics else 0
    of = f" of {text(length)}" if length else ""
    unit = "update" if config.get("stage") == "rl" else "step"
    why = f": {status['reason']}" if status.get("reason") else ""
    return (
        f'<p class="lk app-note"><strong>{text(run.id)}</strong> is {text(status["status"])}{text(why)}; '
        f"{unit} {done}{of}.</p>"
    )


def lamps(run: Run, metrics: Sequence[Mapping[str, Any]]) -> str:
    """Whether the newest update is within the thresholds of collapse, each with its number; RL only."""
    updates = [line for line in metrics if MEASURED["entropy"] in line]
    if not updates:
        return ""
    try:
        thresholds = CollapseThresholds.parse(run.config.get("stop") or {}, run.id)
    except UsageError:
        return ""
    newest = updates[-1]
    beyond, shown = exceeded(newest, thresholds), []
    for name, (title, words) in LAMPS.items():
        value, limit = newest.get(MEASURED[name]), getattr(thresholds, name)
        if value is None or limit is None:
            shown.append(f'<li class="lk-void"><span aria-hidden="true">⊘</span> {title}: not watched</li>')
            continue
        tone, icon, word = ("bad", "✗", "beyond") if name in beyond else ("ok", "✓", "healthy")
        why = f"<br>{text(beyond[name])}" if name in beyond else ""
        shown.append(
            f'<li class="lk-{tone}"><span aria-hidden="true">{icon}</span> {title}: {value:.3g} ({words} {limit:g}): '
            f"<strong>{word}</strong>{why}</li>"
        )
    return (
        f'<section class="lk"><h3>Signs of collapse after update {newest["step"]}</h3><ul class="app-lamps">'
        f"{''.join(shown)}</ul><p>A run stops after {thresholds.patience} updates in a row beyond one of them.</p>"
        "</section>"
    )


def newest(run: Run, store: str) -> str:
    """The newest stored episodes, with a link to them in the Inspect tab."""
    names = run.episode_names()
    if not names:
        return ""
    listed = sorted(names, key=lambda name: (_step(name), name), reverse=True)[:NEWEST]
    href = link.write("inspect", InspectSettings(store=store, run=run.id))
    items = "".join(f"<li>{text(name.rpartition('-')[0] or name)} after {_step(name)}</li>" for name in listed)
    return (
        f'<section class="lk app-newest"><h3>Newest episodes</h3><ul>{items}</ul>'
        f'<p><a href="{text(href)}">Open this run in the Inspect tab</a></p></section>'
    )


def _step(name: str) -> int:
    """The step in the name of a set of episodes, ``rule-ood-30``."""
    last = name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0
