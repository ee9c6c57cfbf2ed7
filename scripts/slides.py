"""Write the twelve slides for a class, docs/slides.html, from stored results.

    python scripts/slides.py

Sentences after "Result" are those of the notebooks, numbers and slopes those of ``results/same-cards.json``, and curves
are the stored figures, which the page shows from ``results/figures``. The page needs no network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from labkit.envs import game, prompt, start
from labkit.envs.general_points.cards import FACES
from labkit.envs.general_points.verifier import REWARD
from labkit.views.palette import METHODS
from labkit.views.widgets.same_cards import MAIN, SameCards

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "slides.html"

_STYLE = """
body { margin: 0; font: 24pt/1.35 sans-serif; background: #fff; color: #111 }
section { display: none; box-sizing: border-box; height: 100vh; padding: 4vh 6vw; overflow: auto }
section.on { display: block }
h1 { font-size: 36pt; margin: 0 0 3vh } p { margin: 0 0 2vh } pre { font-size: 18pt; white-space: pre-wrap }
img, svg { max-width: 100%; max-height: 50vh; display: block } td { padding: 0 1em 0 0 } small { color: #555 }
@media print { section { display: block; break-after: page } }
"""
_SCRIPT = """
const slides = [...document.querySelectorAll("section")];
let at = Math.min(Math.max(Number(location.hash.slice(1)) || 1, 1), slides.length);
const show = () => slides.forEach((s, i) => s.classList.toggle("on", i + 1 === at));
onkeydown = event => {
  const step = {ArrowRight: 1, " ": 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}[event.key];
  if (!step) return;
  at = Math.min(Math.max(at + step, 1), slides.length);
  location.hash = at;
  show();
};
onhashchange = () => { at = Number(location.hash.slice(1)) || 1; show(); };
show();
"""


def results(name: str) -> list[str]:
    """The results that a notebook tells, in order, without markup."""
    text = "\n".join(
        line.removeprefix("#").strip() for line in (ROOT / "notebooks" / f"{name}.py").read_text("utf-8").splitlines()
    )
    found = re.findall(r"^\*\*Result\.\*\* (.*?)(?:\n\n|\n%%|\Z)", text, re.DOTALL | re.MULTILINE)
    return [" ".join(re.sub(r"[*`]", "", one).split()) for one in found]


def slope(cards: SameCards) -> str:
    """The slopes of the three players, as SVG."""
    lines = [line for line in cards.lines() if line.name in MAIN]

    def y(value: float) -> float:
        return 330 - 300 * value / 0.8

    marks = []
    for number, line in enumerate(lines):
        colour, shift = METHODS[line.name.lower()], 8 * (number - 1)
        ends = ((200 + shift, line.trained), (560 + shift, line.changed))
        (x0, a), (x1, b) = ends
        line_at = f'x1="{x0}" y1="{y(a.value):.1f}" x2="{x1}" y2="{y(b.value):.1f}"'
        marks.append(f'<line {line_at} stroke="{colour}" stroke-width="5"/>')
        for x, estimate in ends:
            low, high = (y(end) for end in estimate.ci95)
            marks.append(f'<line x1="{x}" y1="{low:.1f}" x2="{x}" y2="{high:.1f}" stroke="{colour}" stroke-width="2"/>')
        marks.append(f'<text x="{x0 - 20}" y="{y(a.value) + 6:.1f}" text-anchor="end">{a.value:.0%}</text>')
        marks.append(f'<text x="{x1 + 20}" y="{y(b.value) + 6:.1f}">{b.value:.0%} {line.name}</text>')
    heads = '<text x="200" y="365" text-anchor="middle">trained rule</text>'
    heads += '<text x="560" y="365" text-anchor="middle">changed rule</text>'
    label = ", ".join(f"{line.name} from {line.trained.value:.0%} to {line.changed.value:.0%}" for line in lines)
    shown = f'role="img" aria-label="{label}" viewBox="100 0 600 380" font-size="18" font-family="sans-serif"'
    return f"<svg {shown}>{''.join(marks)}{heads}</svg>"


def slides() -> Iterator[tuple[str, str]]:
    """The title and the HTML of each slide."""

    def told(text: str) -> str:
        return f"<p>{html.escape(text)}</p>"

    def figure(name: str, alt: str) -> str:
        return f'<img src="../results/figures/{name}.svg" alt="{html.escape(alt)}">'

    revision, by_hand, tour = (results(name) for name in ("03_sequential_revision", "05_ppo_by_hand", "00_tour"))
    cards = SameCards(ROOT / "results" / "same-cards.json")
    gp = game("gp-l")
    asked = [prompt(start(gp.task(hand=["K", "6", "2", "4"], faces=faces)))[0].text for faces in FACES]
    sentences = [re.split(r"(?<=\.)\s", text) for text in asked]
    changed = [pair for pair in zip(*sentences, strict=True) if pair[0] != pair[1]]

    yield (
        "SFT memorizes, RL generalizes?",
        (
            told("Two ways to train a model further: copy an expert's answers (SFT), or try and be rewarded (RL).")
            + told("Which of them still works when the rule changes?")
            + "<p><small>After Chu et al. 2025, arXiv 2501.17161, with tiny models.</small></p>"
        ),
    )
    yield "The game", f"<pre>{html.escape(asked[0])}</pre>" + told("Your formula?")
    rewards = "".join(
        f"<tr><td>{name}</td><td>{value:+g}</td></tr>" for name, value in REWARD.items() if name != "combine"
    )
    yield "The verifier pays", f"<table>{rewards}</table>"
    yield (
        "One sentence changes",
        "".join(f"<p>− {html.escape(a)}<br>+ {html.escape(b)}</p>" for a, b in changed)
        + told("A player that remembers answers and one that reads the rule look alike, until it changes."),
    )
    yield "What is a second attempt worth?", told(revision[0]) + told(revision[1])
    yield (
        "Three players",
        (
            told("Init: where both trainings start. It searches in a written thought.")
            + told("SFT: Init, trained on an expert's answers under the trained rule.")
            + told("RL: Init, trained by PPO on the verifier's rewards under the trained rule.")
            + told("Predict: how does each fare on the same cards under both rules?")
        ),
    )
    yield "The same cards, two rules", slope(cards) + told(tour[0])
    yield "PPO, steps 1 and 2: gradient and baseline", told(by_hand[0])
    yield "PPO, step 3: the ratio and its clip", told(by_hand[1])
    yield "PPO, step 4: a wrong answer, a positive advantage", told(by_hand[2])
    yield (
        "Over compute",
        figure("05", "success under both rules over training compute") + told("What does each axis ask?"),
    )
    yield (
        "What would you write in the abstract?",
        (
            figure("06-gp-l", "changes from Init on every hand of the changed rule, with intervals")
            + told("Name the claim, its interval, the seeds, and what would change your mind.")
        ),
    )


def page() -> str:
    """The whole page."""
    body = "".join(f"<section><h1>{html.escape(title)}</h1>\n{content}</section>\n" for title, content in slides())
    head = f'<meta charset="utf-8"><title>Slides</title><style>{_STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}<script>{_SCRIPT}</script></body></html>\n'
    )


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
