"""The choices of the Train tab: what to start, which run to watch, along which axis."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.settings import LAST_SEED, FieldError, Fields, Parsed, Whole, Word, setting
from app.train.recipes import Recipe, recipes
from labkit.errors import UsageError
from labkit.views.widgets.curves import AXES

LONGEST = 1000
"""Steps or updates that a field may hold; a recipe's own bound is lower."""


def _recipe(name: str) -> str:
    if name and name not in recipes():
        raise UsageError(f"no recipe {name[:60]!r}; choose one of the list")
    return name


@dataclass(frozen=True, slots=True)
class TrainSettings(Fields):
    """What is started, and what is shown."""

    recipe: str = setting(Parsed(_recipe), "Recipe", "gp-l/rl")
    seed: float | None = setting(Whole(0, LAST_SEED), "Seed", 0)
    length: float | None = setting(Whole(1, LONGEST), "Steps or updates", 10)
    host: str = setting(Parsed(str.strip), "Where", "")
    """A host's name; empty for the runs that lie here."""
    store: str = setting(Parsed(str.strip), "Store", "")
    run: str = setting(Parsed(str.strip), "Run", "")
    x: str = setting(Word(tuple(AXES)), "x axis", "step")

    @property
    def chosen(self) -> tuple[Recipe, list[str]]:
        """The recipe, and the settings that replace its own as ``key=value``.

        Raises:
            FieldError: a field is invalid, or the run would be longer than its recipe.
        """
        name, length = self.value("recipe"), self.value("length")
        if not name:
            raise FieldError("recipe", "choose a recipe")
        recipe = recipes()[name]
        if length > recipe.most:
            raise FieldError("length", f"{name} has at most {recipe.most} {recipe.unit}, not {length}")
        # A lesson is short, and the first probe comes before the first step.
        probe = ["probe.episodes=40", "probe.attempts=1"] if recipe.probed else []
        return recipe, [f"seed={self.value('seed')}", f"{recipe.unit}={length}", *probe]
