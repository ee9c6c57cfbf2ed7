"""An HTML parser for the tests of views: what a browser would show as text, and which elements there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

VOID = {"img", "br", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    parts: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(p if isinstance(p, str) else p.text for p in self.parts)

    def all(self, name: str) -> list[Element]:
        """Elements below with this tag, or with this class when the name begins with a dot."""
        found = []
        for part in self.parts:
            if isinstance(part, Element):
                classes = (part.attributes.get("class") or "").split()
                if name == part.tag or name[1:] in classes:
                    found.append(part)
                found += part.all(name)
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, "elements close in the order in which they opened"

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


@pytest.fixture
def parse() -> Callable[[str], Element]:
    """A document's root element; fails on markup that is not well nested."""

    def parsed(html: str) -> Element:
        parser = _Parser()
        parser.feed(html)
        parser.close()
        assert len(parser.open) == 1, f"{parser.open[-1].tag} is never closed"
        return parser.open[0]

    return parsed
