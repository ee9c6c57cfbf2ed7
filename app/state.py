"""What one browser window holds of GeneralPoints: the settings of its controls, the episodes on its screen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from app.presets import FIRST
from labkit.envs import game
from labkit.envs.general_points.cards import Rule, check_target, parse_ranks, rule_name
from labkit.episode import Episode, Task
from labkit.errors import UsageError

CUSTOM = "custom"
MOST_ATTEMPTS = 10
HOTTEST = 2.0
LAST_SEED = 2**31 - 1


class FieldError(UsageError):
    """What a person typed cannot be; the message is shown beside the field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Settings:
    """The controls, as their components hand them over: nothing here has been checked."""

    cards: str = FIRST.cards
    rule: str = FIRST.faces
    """A named rule, or ``custom`` for the three numbers below."""
    jack: float | None = 11
    queen: float | None = 12
    king: float | None = 13
    target: float | None = 24
    seed: float | None = 0
    attempts: float | None = 5
    temperature: float | None = 0.0
    player: str | None = None

    @property
    def faces(self) -> Rule:
        """The rule as the environment takes it.

        Raises:
            FieldError: a number that no face card can count as.
        """
        try:
            if self.rule != CUSTOM:
                return rule_name(self.rule)
            numbers = {"J": self.jack, "Q": self.queen, "K": self.king}
            return rule_name({rank: _whole(number, rank) for rank, number in numbers.items()})
        except UsageError as error:
            raise FieldError("rule", str(error)) from None

    @property
    def task(self) -> Task:
        """The task that the controls describe.

        Raises:
            FieldError: one of them cannot be.
        """
        try:
            ranks = parse_ranks(self.cards)
        except UsageError as error:
            raise FieldError("cards", str(error)) from None
        faces = self.faces
        return game("gp-l").task(hand=ranks, faces=faces, target=self.whole_target(), attempts=self.whole_attempts())

    def whole_target(self) -> int:
        try:
            return check_target(_whole(self.target, "the target"))
        except UsageError as error:
            raise FieldError("target", str(error)) from None

    def whole_attempts(self) -> int:
        return clamped("attempts", self.attempts, 1, MOST_ATTEMPTS)

    def whole_seed(self) -> int:
        return clamped("seed", self.seed, 0, LAST_SEED)

    def clamped_temperature(self) -> float:
        return clamped_temperature(self.temperature)

    def dealt(self) -> Settings:
        """The same controls with the cards that the seed deals under their rule and target.

        Raises:
            FieldError: no hand can reach the target.
        """
        suite = "rule-ood" if self.rule == "eleven-twelve-thirteen" else "id"
        options = {"seed": self.whole_seed(), "faces": self.faces, "target": self.whole_target()}
        try:
            task = next(game("gp-l").tasks(suite, **options))
        except UsageError:
            message = f"no four cards reach {options['target']} under this rule; choose another target"
            raise FieldError("target", message) from None
        return replace(self, cards=" ".join(rank for rank, _ in task.deal["cards"]))


def clamped_temperature(number: float | None) -> float:
    return max(0.0, min(HOTTEST, float(number or 0.0)))


def clamped(field: str, number: float | None, low: int, high: int) -> int:
    """The whole number, or the nearest one in range.

    Raises:
        FieldError: it is not whole.
    """
    try:
        return max(low, min(high, _whole(number, field)))
    except UsageError as error:
        raise FieldError(field, str(error)) from None


def _whole(number: float | None, name: str) -> int:
    if number is None or not isfinite(number) or int(number) != number:
        raise UsageError(f"{name} must be a whole number")
    return int(number)


@dataclass(frozen=True, slots=True)
class Shown:
    """The player's episode as it stands on the screen."""

    episode: Episode
    origin: str
    """``recorded``, ``live`` or ``stopped``."""


@dataclass(frozen=True, slots=True)
class Window:
    """One browser window: what its controls say and what is on its table."""

    settings: Settings
    shown: Shown | None = None
    """The player's episode."""
    own: Episode | None = None
    """The person's episode."""
    formula: str = ""
    """What the person has typed."""


def same_deal(one: Task, other: Task) -> bool:
    """Whether two tasks ask the same under the same rule: of hands, suits do not count."""
    return _asked(one) == _asked(other)


def _asked(task: Task) -> tuple[object, ...]:
    deal = [rank for rank, _ in task.deal["cards"]] if "cards" in task.deal else (task.cell, task.deal)
    return deal, task.rule
