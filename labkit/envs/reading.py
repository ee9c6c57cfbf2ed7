"""Find the answer object in whatever a model wrote.

Models fence their JSON, put prose around it, use single quotes, leave trailing commas, write comments, start over, or
get cut off. One pass over the text with an explicit stack finds every complete ``{...}`` in it, in linear time and
without recursion, whatever the text is. What lies in a thought (``<think>...</think>``) is no answer; a thought that is
never closed reaches to the end, and one that is only closed was opened by the prompt.

Read like JSON, besides JSON: any kind of quotes, also none; raw line breaks in strings; commas at the end of lists;
``//``, ``#`` and ``/* */`` comments; full-width punctuation; characters without width between tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

LIMIT = 65_536
"""Longest answer that is read, in bytes of UTF-8."""

MAX_DEPTH = 32
"""Deepest nesting that is read; what lies deeper is broken."""

# Opening quotes and what closes them: people and models mix up the two halves of curly ones.
_QUOTES = {
    '"': '"',
    "'": "'",
    "“": "“”",
    "”": "“”",
    "‘": "‘’",
    "’": "‘’",
    "`": "`",
    "＂": "＂",
    "＇": "＇",
}
_MARKS = {"｛": "{", "｝": "}", "［": "[", "］": "]", "：": ":", "，": ",", "、": ","}
"""Full-width punctuation, and what it stands for."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTE = "\"'“”‘’`＂＇"
_LETTER = rf"[^\s,:\[\]{{}}，、：［］｛｝{_QUOTE}]"
_WORD = f"{_LETTER}+"
# What follows a brace that may open an object: a quote, or a word and a colon, or the brace that closes it. Other
# braces are prose: LaTeX, sets, placeholders.
_INSIDE = rf"(?=[\s\u200b-\u200d\u2060\ufeff]*(?:[{_QUOTE}}}｝]|{_WORD}\s*[:：]))"
# A comment ends at a brace that may open an object, so that none is hidden in it. Its length is bounded where it would
# be looked for again and again.
_COMMENT = rf"(?://|#)(?:[^\n{{｛]|[{{｛](?!{_INSIDE}))*|/\*(?:(?!\*/)[^{{｛]){{0,1000}}\*/"
_SPACE = re.compile(rf"(?:[\s\u200b-\u200d\u2060\ufeff]+|{_COMMENT})+")
_BARE = re.compile(rf"(?:(?!//|/\*){_LETTER})+")
_THINKING = r"(?:\w+[:_])?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad)"
_THOUGHT = (
    rf"<\s?{_THINKING}(?:\s[^<>\n]{{0,200}})?>|\[think\]|◁think▷|<\|(?:start_|begin_of_)?{_THINKING}\|>"
    r"|<\|channel\|>analysis<\|message\|>|<\|channel>thought\b"
)
_THOUGHT_END = (
    rf"<\s?/\s?{_THINKING}\s?>|\[/think\]|◁/think▷|<\|(?:end_|end_of_|/){_THINKING}\|>"
    r"|<\|channel\|>final<\|message\|>|<channel\|>"
)
_CLOSING = re.compile(_THOUGHT_END, re.IGNORECASE)
_NOTE = r"(?:(?://|#)[^\n]{0,200}\n|/\*(?:(?!\*/).){0,200}\*/)"
_OPENING = re.compile(
    rf"[{{｛](?:{_INSIDE}|(?=\s*{_NOTE}))|(?P<thought>{_THOUGHT})|(?P<closed>{_THOUGHT_END})",
    re.IGNORECASE,
)
_END = {q: re.compile(rf"[{re.escape(end)}\\]") for q, end in _QUOTES.items()}
_AFTER = re.compile(r"\s*(?:[,:}\]，、：｝］]|//|#|/\*)")
"""What follows a string with a raw line break in it; otherwise the string has lost its closing quote."""


@dataclass(frozen=True, slots=True)
class Found:
    """A complete object and where its values stand in the text."""

    fields: dict[str, Any]
    """Keys in lower case; strings, lists, nested objects; unquoted words and numbers as strings."""
    spans: dict[str, tuple[int, int]]
    """Character offsets of each value's text, quotes excluded."""
    end: int
    """Offset behind the closing brace."""


@dataclass(slots=True)
class _Open:
    """A container still being read. ``key`` is the key that waits for its value."""

    value: dict[str, Any] | list[Any]
    start: int
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    key: str | None = None
    wants: str = "item"

    def put(self, item: Any, span: tuple[int, int]) -> bool:
        """Take an item; False if none may stand here."""
        if isinstance(self.value, list):
            if self.wants != "item":
                return False
            self.value.append(item)
        elif self.wants == "item" and self.key is None and isinstance(item, str):
            self.key, self.wants = item.strip().lower(), "colon"
            return True
        elif self.wants == "value" and self.key is not None:
            self.value[self.key], self.spans[self.key] = item, span
            self.key = None
        else:
            return False
        self.wants = "comma"
        return True


def objects(text: str) -> list[Found]:
    """Every complete object in ``text`` outside of thoughts, in the order in which they close."""
    complete: list[Found] = []
    stack: list[_Open] = []
    opened = False
    at = 0
    while at < len(text):
        if not stack:
            # Outside of an object everything is prose: quotes and brackets mean nothing there.
            opening = _OPENING.search(text, at)
            if opening is None:
                break
            at = opening.end()
            if opening["thought"]:
                opened = True
                ended = _CLOSING.search(text, at)
                if ended is None:
                    break
                at = ended.end()
            elif opening["closed"]:
                if not opened:
                    complete.clear()
            else:
                stack.append(_Open({}, opening.start()))
            continue
        space = _SPACE.match(text, at)
        if space:
            at = space.end()
            continue
        step = _token(text, at, stack)
        if step is None:
            # Whatever is open here is broken here; a new object may start at this very character.
            stack.clear()
            at += text[at] not in "{｛"
            continue
        at, found = step
        if found:
            complete.append(found)
    return complete


def _token(text: str, at: int, stack: list[_Open]) -> tuple[int, Found | None] | None:
    """Consume one token; None if it cannot stand here."""
    top, char = stack[-1], _MARKS.get(text[at], text[at])
    if char in "{[":
        if len(stack) == MAX_DEPTH:
            return None
        if top.wants == "comma" or (isinstance(top.value, dict) and top.wants != "value"):
            return None
        stack.append(_Open({} if char == "{" else [], at))
        return at + 1, None
    if char in "}]":
        if isinstance(top.value, dict) != (char == "}") or top.wants in ("colon", "value"):
            return None
        stack.pop()
        if stack and not stack[-1].put(top.value, (top.start, at + 1)):
            return None
        return at + 1, Found(top.value, top.spans, at + 1) if isinstance(top.value, dict) else None
    if char == ",":
        if top.wants != "comma":
            return None
        top.wants = "item"
        return at + 1, None
    if char == ":":
        if top.wants != "colon":
            return None
        top.wants = "value"
        return at + 1, None
    if char in _QUOTES:
        if top.wants not in ("item", "value"):
            return None
        read = _string(text, at)
        if read is None:
            return None
        value, end = read
        return (end, None) if top.put(value, (at + 1, end - 1)) else None
    bare = _BARE.match(text, at)
    if bare is None or not top.put(bare.group(), bare.span()):
        return None
    return bare.end(), None


def _string(text: str, at: int) -> tuple[str, int] | None:
    """The string that opens at ``at`` and the offset behind its closing quote; None if it does not close."""
    ending, parts, start = _END[text[at]], [], at
    at += 1
    while stop := ending.search(text, at):
        parts.append(text[at : stop.start()])
        if stop.group() != "\\":
            value = "".join(parts)
            # With a line break in it, it may be a string whose closing quote is missing.
            if "\n" in value and "\n" in text[start : stop.start()] and not _AFTER.match(text, stop.end()):
                return None
            return _whole(value), stop.end()
        escaped, at = text[stop.end() : stop.end() + 1], stop.end() + 1
        code = text[at : at + 4]
        if escaped == "u" and re.fullmatch("[0-9a-fA-F]{4}", code):
            parts.append(chr(int(code, 16)))
            at += 4
        else:
            parts.append(_ESCAPES.get(escaped, escaped))
    return None


def _whole(text: str) -> str:
    """Surrogate pairs joined, halves of them replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _SURROGATE.search(text) else text


def last_object(text: str, key: str) -> Found | None:
    """The last complete object that has ``key``.

    None if there is none, if the text is over :data:`LIMIT`, or if the answer goes on behind the closing brace: a
    further ``"key":`` there with a brace that closes it says that the object was not the whole answer.
    """
    if len(text) > LIMIT or len(text.encode("utf-8", "surrogatepass")) > LIMIT:
        return None
    if key not in text.lower():
        return None
    found = None
    for candidate in objects(text):
        if key in candidate.fields:
            found = candidate
    return None if found is None or _goes_on(text[found.end :].lower(), key) else found


def _goes_on(behind: str, key: str) -> bool:
    again = re.search(rf"[{_QUOTE}]{re.escape(key)}[{_QUOTE}]\s*[:：]", behind)
    if again is None:
        return False
    return not re.search("[{｛]", behind[: again.start()]) and bool(re.search("[}｝]", behind[again.end() :]))
