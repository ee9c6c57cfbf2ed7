"""The pieces of HTML of the checkpoint slider: the stops, the line over them, the episode of a stop."""

from __future__ import annotations

from collections.abc import Sequence

from app.panels.ladder.memory import Rates
from app.shared.html import spinner
from labkit.counting import counted
from labkit.episode import Episode
from labkit.views.markup import Mark, text
from labkit.views.palette import METHODS
from labkit.views.turns import ended_html, summary_html, turns_html

WIDTH, HEIGHT, EDGE, LEFT = 640, 150, 16, 44
OPEN = Mark("·", "not played", "plain")


def short(name: str) -> str:
    """The last part of a player's name; of a run's checkpoint, which the list of runs names, its step."""
    return "@" + name.rpartition("@")[2] if name.startswith("run:") else name.rpartition("/")[2].removeprefix("tiny:")


def stops(names: Sequence[str], episodes: Sequence[Episode | None], at: int) -> str:
    """The stops in order, each with how the deal ended there; the one that is shown is marked."""
    items = "".join(
        f"<li{' aria-current=step' if number == at else ''}><strong>{text(short(name))}</strong> "
        f"{ended_html(episode) if episode else OPEN.html()}</li>"
        for number, (name, episode) in enumerate(zip(names, episodes, strict=True))
    )
    return f'<ol class="lk app-stops" style="--app-stops: {len(names)}">{items}</ol>'


def status(name: str, episode: Episode | None, playing: str) -> str:
    """What is shown, and which checkpoint plays."""
    shown = f"<strong>{text(name)}</strong> {summary_html(episode)}" if episode else ""
    busy = spinner(f"{playing} plays …") if playing else ""
    return f'<div class="lk app-status">{shown}{busy}</div>'


def turns(episode: Episode | None) -> str:
    """The turn cards of a stop."""
    return turns_html(episode) if episode else ""


def curve(names: Sequence[str], rates: Sequence[Rates]) -> str:
    """Solved deals and right first answers over the stops; nothing before a stop has played."""
    if not any(rate.solved.n for rate in rates):
        return ""
    step = (WIDTH - LEFT - EDGE) / max(1, len(names) - 1)
    solved = [_point(number, rate.solved.value, step) for number, rate in enumerate(rates)]
    first = [_point(number, rate.first.value, step) for number, rate in enumerate(rates)]
    grid = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - EDGE}" y1="{_height(p):.0f}" y2="{_height(p):.0f}"/>'
        f'<text x="{LEFT - 6}" y="{_height(p) + 4:.0f}">{p:.0%}</text>'
        for p in (0, 0.5, 1)
    )
    told = "; ".join(_told(short(name), rate) for name, rate in zip(names, rates, strict=True))
    deals = max(rate.solved.n for rate in rates)
    return (
        f'<figure class="lk app-curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(told)}">'
        f'<g class="app-grid">{grid}</g>{_line(solved, METHODS["rl"], "")}{_line(first, METHODS["sft"], "5 4")}</svg>'
        f'<figcaption><span style="color: {METHODS["rl"]}">● solved</span> '
        f'<span style="color: {METHODS["sft"]}">◌ first answer right</span> '
        f"of the {counted(deals, 'deal')} played here under these settings: {text(told)}.</figcaption></figure>"
    )


def _told(name: str, rate: Rates) -> str:
    if rate.solved.value is None:
        return f"{name} not yet"
    return f"{name} {rate.solved.value:.0%} solved, {rate.first.value or 0:.0%} first"


def _height(share: float) -> float:
    return EDGE + (1 - share) * (HEIGHT - 2 * EDGE)


def _point(number: int, share: float | None, step: float) -> tuple[float, float] | None:
    return None if share is None else (LEFT + number * step, _height(share))


def _line(points: Sequence[tuple[float, float] | None], color: str, dashes: str) -> str:
    there = [point for point in points if point is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in there)
    fill = "none" if dashes else color
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{color}"/>' for x, y in there)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dashed}/>{dots}'
