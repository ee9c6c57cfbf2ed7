"""The choices of the Inspect tab: which store and run, which episodes of it, which page, which one is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from app.shared.settings import Fields, Parsed, Whole, Word, setting
from labkit.runs.columns import range_of

FLAGS = ("recovered", "old_rule")
FACETS = ("tag", "note_tag", "category", "status", *FLAGS, "suite", "split", "cell", "player", "trait")
"""The fields that the bars count. Each is a field of the settings too, with the values that are chosen."""
TITLES = {
    "tag": "Failure tags",
    "note_tag": "Tags of notes",
    "category": "Verdict",
    "status": "How the episode ended",
    "recovered": "Right after a wrong attempt",
    "old_rule": "Wrong, but right under the other rule",
    "suite": "Suite",
    "split": "Split",
    "cell": "Cell",
    "player": "Player",
}
"""What the page calls the facets; traits have titles of their own."""
DEAL = ("suite", "split", "cell", "trait")
"""Those that say which deals are played, not how."""
TOGGLED = (*FACETS, "other_player", "solved")
"""Fields whose values are chosen one by one, by a click."""
UNITS = ("episode", "attempt")


class Sort(NamedTuple):
    """An order of the rows."""

    title: str
    field: str | None
    descending: bool = False


SORTS = {
    "newest": Sort("newest run first", None),
    "most-turns": Sort("most turns first", "turns", True),
    "fewest-turns": Sort("fewest turns first", "turns"),
    "highest-return": Sort("highest return first", "total", True),
    "lowest-return": Sort("lowest return first", "total"),
    "longest-answer": Sort("longest answer first", "tokens", True),
    "player": Sort("by player", "player"),
    "category": Sort("by verdict", "category"),
}


def _range(text: str) -> str:
    """The text of a range, once it can be read."""
    if text.strip():
        range_of(text.strip())
    return text.strip()


def _words(label: str) -> Any:
    return setting(Parsed(lambda text: joined(split(text))), label, "")


@dataclass(frozen=True, slots=True)
class InspectSettings(Fields):
    """What is shown of the stored episodes. A field of :data:`FACETS` has its chosen values with commas between."""

    store: str = setting(Parsed(str.strip), "Store", "")
    run: str = setting(Parsed(str.strip), "Run", "")
    text: str = setting(Parsed(str), "Answer or note contains", "")
    turns: str = setting(Parsed(_range), "Turns", "")
    sort: str = setting(Word(SORTS), "Order", "newest")
    unit: str = setting(Word(UNITS), "A row is an", UNITS[0])
    tag: str = _words("Failure tags")
    note_tag: str = _words("Tags of notes")
    category: str = _words("Verdict")
    status: str = _words("Outcome")
    recovered: str = _words("Right after a wrong attempt")
    old_rule: str = _words("Wrong, but right under the other rule")
    suite: str = _words("Suite")
    split: str = _words("Split")
    cell: str = _words("Cell")
    player: str = _words("Player")
    trait: str = _words("Deal")
    other: str = setting(Parsed(str.strip), "Compare with", "")
    other_player: str = _words("Player of the other run")
    solved: str = _words("Who solves the deal")
    page: int = setting(Whole(0, 10**7), "Page", 0)
    open: str = setting(Parsed(str.strip), "Episode", "")
    beside: str = setting(Parsed(str.strip), "Episode beside it", "")

    def toggled(self, field: str, value: str) -> InspectSettings:
        """With a value of a facet chosen, or no longer."""
        chosen = split(getattr(self, field))
        values = [v for v in chosen if v != value] if value in chosen else [*chosen, value]
        return replace(self, **{field: joined(values)}, page=0)

    def without(self, field: str, name: str = "") -> InspectSettings:
        """Without the condition on a facet; of traits, without those of a name."""
        kept = [v for v in split(getattr(self, field)) if name and not v.startswith(f"{name}:")]
        left: dict[str, Any] = {field: joined(kept)}
        return replace(self, **left)

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """The chosen values of the facets, each with its field."""
        return [(name, value) for name in FACETS for value in split(getattr(self, name))]

    def cleared(self) -> InspectSettings:
        """Without any condition but the run's."""
        lifted: dict[str, Any] = dict.fromkeys((*FACETS, "solved", "text", "turns"), "")
        return replace(self, **lifted, page=0)

    @property
    def filtered(self) -> bool:
        """Whether any condition but the run's is set."""
        return any(getattr(self, name) for name in (*FACETS, "text", "turns"))

    @property
    def other_where(self) -> dict[str, Any]:
        """The conditions of the run that is compared: the same but for run and player."""
        return {**self.where, "run": self.other or None, "player": split(self.other_player) or None}

    @property
    def where(self) -> dict[str, Any]:
        """The conditions of :meth:`labkit.runs.index.Index.select`.

        Raises:
            FieldError: a field is invalid.
        """
        found: dict[str, Any] = {name: split(getattr(self, name)) or None for name in FACETS if name not in FLAGS}
        for name in FLAGS:
            values = split(getattr(self, name))
            # Of a flag both values are all.
            found[name] = values == ["yes"] if len(values) == 1 else None
        turns = self.value("turns")
        return {
            **found,
            "run": self.run or None,
            "text": self.text or None,
            "turns": range_of(turns) if turns else None,
        }


def split(text: str) -> list[str]:
    """The values of a facet's field."""
    return [unquote(value) for value in str(text or "").split(",") if value]


def joined(values: list[str]) -> str:
    """The values as one text; a comma in a value is written ``%2C``."""
    return ",".join(quote(value, safe=" /:@+=.~") for value in dict.fromkeys(values))
