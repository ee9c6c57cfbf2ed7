"""The route on which the finding shows. ``scripts/presets.py`` chooses it, and counts over all routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from app.shared.claims import Outcome, outcomes


class Picked(NamedTuple):
    players: Mapping[str, str]
    """The specs of the players that were compared, by title."""
    route: str
    outcomes: Mapping[str, Mapping[str, Outcome]]
    """What they do on the route at temperature 0, by rule."""
    arrived: Mapping[str, Mapping[str, tuple[int, int]]]
    """On how many routes they arrive, of how many, by rule."""

    @property
    def note(self) -> str:
        """What happens on the route, rule by rule; and how common that is."""
        here = " ".join(
            f"{_RULES[rule]}: {'; '.join(f'{name} {_words(o)}' for name, o in said.items())}."
            for rule, said in self.outcomes.items()
        )
        everywhere = "; ".join(
            f"{_RULES[rule].lower()} " + ", ".join(f"{name} {n}" for name, (n, _) in said.items())
            for rule, said in self.arrived.items()
        )
        count = next((of for said in self.arrived.values() for _, of in said.values()), 0)
        return (
            f"A picked route: it shows the paper's finding, which most routes do not. {here} "
            f"Routes completed, of {count}: {everywhere}. (Temperature 0.)"
        )


_RULES = {"absolute": "Trained rule", "relative": "Changed rule"}


def _words(done: Outcome) -> str:
    if done.success:
        return "arrives"
    kept = ", with an action that the other rule asks for" if done.kept else ""
    return f"fails at step {done.position}{kept}"


def _read() -> Picked:
    stored = json.loads((files(__package__) / "presets.json").read_text(encoding="utf-8"))
    by_rule = {rule: outcomes(said) for rule, said in stored["outcomes"].items()}
    return Picked(**{**stored, "outcomes": by_rule})


PICKED = _read()
