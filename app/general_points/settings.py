"""The settings of the GeneralPoints tab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

from app.general_points.presets import FIRST, TARGET, TEMPERATURE
from app.shared.settings import HOTTEST, FieldError, Parsed, Real, Settings, Whole, Word, default, setting
from labkit.envs import game
from labkit.envs.general_points.cards import FACES, TARGETS, Rule, parse_ranks, rule_name
from labkit.envs.general_points.cards import SUITS as KNOWN_SUITS
from labkit.episode import Task
from labkit.errors import UsageError

CUSTOM = "custom"
CELLS = ("gp-l", "gp-vl")
SUITS = ("black", "red")
"""Of the picture: those of training, and those of ``visual-ood``."""
NUMBERS = ("jack", "queen", "king")
"""The fields of a rule of one's own."""


@dataclass(frozen=True, slots=True)
class GeneralPointsSettings(Settings):
    """Cards, target and rule."""

    temperature: float | None = setting(Real(0, HOTTEST), "Temperature", default_factory=lambda: TEMPERATURE)
    cards: str = setting(Parsed(lambda text: " ".join(parse_ranks(text))), "Cards", default_factory=lambda: FIRST.cards)
    target: float | None = setting(Whole(TARGETS[0], TARGETS[-1]), "Target", TARGET)
    cell: str = setting(Word(CELLS), "Cards are shown", CELLS[0])
    suits: str = setting(Word(SUITS), "Suits", SUITS[0])
    rule: str = setting(Word((*FACES, CUSTOM)), "Rule", default_factory=lambda: FIRST.rule)
    jack: float | None = setting(Whole(1, 99), "J", 11)
    queen: float | None = setting(Whole(1, 99), "Q", 12)
    king: float | None = setting(Whole(1, 99), "K", 13)

    def value(self, name: str) -> Any:
        # The numbers count only where the rule is one's own.
        if name in NUMBERS and self.rule != CUSTOM:
            return default(type(self), name)
        return Settings.value(self, name)

    @property
    def faces(self) -> Rule:
        """The rule as the environment takes it.

        Raises:
            FieldError: a field is invalid.
        """
        if self.value("rule") != CUSTOM:
            return rule_name(self.rule)
        return rule_name({rank: self.value(name) for rank, name in zip("JQK", NUMBERS, strict=True)})

    @property
    def task(self) -> Task:
        """The task that the settings describe.

        Raises:
            FieldError: a field is invalid.
        """
        rules = {"target": self.value("target"), "attempts": self.value("attempts")}
        cell, hand = self.value("cell"), self.value("cards").split()
        if game(cell).pictured:
            hand = [*zip(hand, cycle(KNOWN_SUITS[self.value("suits")]), strict=False)]
        return game(cell).task(hand=hand, faces=self.faces, **rules)

    def deals(self, split: str) -> Iterator[Task]:
        """The hands of a split, as a deck deals them under the rule and target.

        Raises:
            FieldError: no hand can reach the target, or a field is invalid.
        """
        suite = "rule-ood" if self.rule == "eleven-twelve-thirteen" else "id"
        options = {name: self.value(name) for name in ("seed", "target", "attempts")} | {"faces": self.faces}
        cell = self.value("cell")
        if game(cell).pictured:
            options["suits"] = self.value("suits")
        try:
            yield from game(cell).tasks(suite, split, **options)
        except UsageError:
            message = f"no four cards reach {options['target']} under this rule; choose another target"
            raise FieldError("target", message) from None

    def dealt(self) -> GeneralPointsSettings:
        """The same settings with the ranks that the seed deals under their rule and target.

        Raises:
            FieldError: no hand can reach the target, or a field is invalid.
        """
        # A wrong number of attempts does not keep anybody from a new hand.
        task = next(replace(self, attempts=default(type(self), "attempts")).deals("all"))
        return replace(self, cards=" ".join(rank for rank, _ in task.deal["cards"]))
