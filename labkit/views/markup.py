"""The pieces of HTML that all views use. Every text passes through :func:`text`."""

from __future__ import annotations

import base64
import html
import io
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.episode import Verdict

if TYPE_CHECKING:
    from PIL.Image import Image

# Besides HTML's own characters, escape those of templates that a page may use: `${...}`, `{{...}}`, a backslash, a
# backtick.
_ENTITIES = str.maketrans({c: f"&#{ord(c)};" for c in "${}\\`"} | {"\0": "&#9216;"})
_UNREADABLE = frozenset({"unreadable", "illegal_formula"})


class Mark(NamedTuple):
    """The look of a judgement: an icon and a word, besides the colour."""

    icon: str
    word: str
    tone: str
    """``ok``, ``bad``, ``void`` or ``plain``; the stylesheet gives each a border and a colour."""

    def html(self) -> str:
        icon = f'<span aria-hidden="true">{self.icon}</span>'
        return f'<span class="lk-mark lk-{self.tone}">{icon} {text(self.word)}</span>'


OK = Mark("✓", "ok", "ok")
BAD = Mark("✗", "not ok", "bad")


def mark_of(verdict: Verdict) -> Mark:
    """✓ correct, ✗ wrong, ⊘ could not be read."""
    if verdict.success:
        return Mark("✓", verdict.category, "ok")
    word = verdict.category.replace("_", " ")
    return Mark("⊘", word, "void") if verdict.category in _UNREADABLE else Mark("✗", word, "bad")


def text(value: object) -> str:
    """Any text, untrusted text above all, as HTML that shows exactly that text.

    A NUL and lone surrogates, which HTML and UTF-8 cannot carry, are shown as ``␀`` and ``\\udc80``.
    """
    shown = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return html.escape(shown).translate(_ENTITIES)


def signed(number: float) -> str:
    """``+5``, ``−1.5``, ``0``: with a true minus sign."""
    return f"{number:+g}".replace("-", "−") if number else "0"


def plain(value: Any) -> str:
    """A field as readable text: text unchanged, a list of words with commas, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def details(summary: str, body: str, css_class: str = "") -> str:
    """An element that opens on a click; both arguments are HTML."""
    return f'<details class="{css_class}"><summary>{summary}</summary>{body}</details>'


def pre(value: object) -> str:
    """Text with its line breaks and spaces."""
    # A parser drops a line break right after <pre>, so one is added here.
    return f"<pre>\n{text(value)}</pre>"


def img(image: Image, alt: str, form: str) -> str:
    """A picture whose pixels are in the markup.

    Args:
        form: ``PNG``, or ``JPEG`` for smaller files.
    """
    file = io.BytesIO()
    image.save(file, form, **({"quality": 85} if form == "JPEG" else {}))
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/{form.lower()};base64,{data}" alt="{text(alt)}">'


def shown_html(image: Image, alt: str, side: int, form: str) -> str:
    """A picture as a player reads it, with its size in words: its own pixels, or fewer where it is larger than shown.

    Args:
        side: pixels of the longer side, at most; a small picture is enlarged to whole multiples, without smoothing.
        form: as in :func:`img`; small pictures are exact, as PNG.
    """
    wide, high = image.size
    times = side // max(wide, high)
    said = f"{wide} × {high} pixels"
    if times:
        shown, form, said = image, "PNG", f"{said}, as the player sees it"
    else:
        shown, said = image.copy(), f"{said}, shown smaller"
        shown.thumbnail((side, side))
    size = f'width="{shown.width * (times or 1)}"'
    picture = img(shown, alt, form).replace("<img", f"<img {size}")
    return f'<figure class="lk-seen">{picture}<figcaption class="lk-soft">{said}</figcaption></figure>'


@cache
def stylesheet() -> str:
    """The CSS of all views."""
    folder = files(__package__).joinpath("static")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("turns.css", "map.css"))


def standalone(body: str) -> str:
    """A view with its stylesheet, for a notebook's output or any page without the stylesheet."""
    return f"<style>{stylesheet()}</style>{body}"
