"""An episode as a document of its own: JSON, Markdown, a page, or a picture of that page."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from labkit.envs.games import row_of
from labkit.episode import Attempt, Episode, Position
from labkit.errors import UsageError
from labkit.interop import pictures
from labkit.interop.tables import carried
from labkit.views.markup import mark_of, signed, stylesheet, text
from labkit.views.tokens import Token
from labkit.views.turns import episode_html

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Programs that can draw a page, in the order in which they are looked for."""
WIDTH = 900
"""Of a picture, in the page's pixels."""
SHARP = 2
"""Pixels of a picture for each of the page's, in each direction."""


def write(path: str | Path, episode: Episode, tokens: Sequence[Sequence[Token]] = ()) -> None:
    """Write an episode to a file ``.json``, ``.md``, ``.html`` or ``.png``.

    Args:
        tokens: those of each attempt, in order over all positions, where they were stored; pages show them.

    Raises:
        UsageError: the ending is none of these, the file cannot be written, or a picture has no browser to draw it.
    """
    path = Path(path)
    forms = {
        ".json": lambda: json.dumps(episode.to_dict(), ensure_ascii=False, indent=2) + "\n",
        ".md": lambda: markdown(episode),
        ".html": lambda: page(episode.task.id, episode_html(episode, tokens)),
    }
    try:
        if path.suffix == ".png":
            path.write_bytes(png(page(episode.task.id, episode_html(episode, tokens))))
        elif path.suffix in forms:
            path.write_bytes(carried(forms[path.suffix]()).encode())
        else:
            raise UsageError(f"{path} ends in none of {', '.join(forms)}, .png; name the file after what it is to be")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file") from None


def page(title: str, body: str, more: str = "") -> str:
    """A page that needs nothing but itself.

    Args:
        title: plain text.
        body: HTML.
        more: HTML for the head, such as a style of the page's own.
    """
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>body {{ margin: 16px auto; max-width: 60rem; padding: 0 12px; font-family: system-ui, sans-serif; }}"
        f"{stylesheet()}</style>{more}</head><body>{body}</body></html>\n"
    )


def png(html: str) -> bytes:
    """A page as a picture, as long as the page is.

    Raises:
        UsageError: Playwright or a browser is missing.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UsageError("a .png needs Chromium or Chrome to draw it (apt-get install chromium); write .html or .md")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UsageError("a .png needs Playwright: `pip install playwright`; or write .html or .md") from None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        # Chromium's own sandbox does not start for root, as in a container; the page is ours and runs no script.
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        try:
            shown = started.new_page(
                viewport={"width": WIDTH, "height": 100}, device_scale_factor=SHARP, java_script_enabled=False
            )
            shown.goto(file.as_uri())
            return shown.screenshot(full_page=True)
        finally:
            started.close()


def markdown(episode: Episode) -> str:
    """The dialogue as Markdown: each prompt, answer, verdict and feedback, word for word, and the pictures."""
    view = row_of(episode.task.cell).load("view")
    status = view.ENDED[episode.status].word if episode.done else "not over"
    lines = [
        f"# {episode.task.id}",
        f"**{_inline(episode.player or 'nobody')}** · {_inline(view.setting(episode))} · {status} · "
        f"return {signed(episode.reward)}",
    ]
    for number, position in enumerate(episode.positions):
        if step := view.step(episode, number):
            lines.append(f"## {step}")
        lines += _position(episode, position)
    return "\n\n".join(lines) + "\n"


def _position(episode: Episode, position: Position) -> Iterator[str]:
    yield "Prompt:"
    if position.picture:
        yield f"![what is shown]({pictures.address(episode.task.cell, position.picture['recipe'])})"
    yield _fenced(position.prompt)
    for number, attempt in enumerate(position.attempts, 1):
        yield from _attempt(number, attempt)


def _attempt(number: int, attempt: Attempt) -> Iterator[str]:
    mark = mark_of(attempt.verdict)
    yield f"### Attempt {number}: {mark.icon} {mark.word}, reward {signed(attempt.reward)}"
    yield _fenced(attempt.answer)
    if attempt.other_rule is not None:
        yield f"Under the other rule: {mark_of(attempt.other_rule).word}."
    if attempt.tags:
        yield f"Failure tags: {', '.join(f'`{tag}`' for tag in attempt.tags)}."
    yield "Feedback:"
    yield _fenced(attempt.verdict.feedback)


def _fenced(body: str) -> str:
    """A block that shows exactly a text: its fence is longer than any in the text."""
    longest = max(map(len, re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def _inline(body: str) -> str:
    """A text as Markdown that shows it."""
    return re.sub(r"([\\`*_\[\]<>&#|])", r"\\\1", " ".join(body.split()))
