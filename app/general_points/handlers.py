"""What the GeneralPoints tab shows after each thing that can happen."""

from __future__ import annotations

import json
from dataclasses import replace

import gradio as gr

from app.general_points import html
from app.general_points.presets import PRESETS, SEED, TARGET, TEMPERATURE, Preset
from app.general_points.settings import CELLS, CUSTOM, NUMBERS, GeneralPointsSettings
from app.shared.handlers import Handlers, Updates
from app.shared.html import note
from app.shared.settings import LAST_SEED, FieldError
from app.shared.window import Window
from labkit.envs.general_points import solver
from labkit.envs.general_points.cards import Rule, numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.envs.general_points.verifier import read
from labkit.episode import Episode, Task

MISSES_BEFORE_HINT = 2
CHIPS = tuple(f"preset {i}" for i in range(len(PRESETS)))


class GeneralPointsHandlers(Handlers[GeneralPointsSettings]):
    """The handlers of the tab."""

    TAB = "gp"
    SETTINGS = GeneralPointsSettings
    NOTES = {
        **dict.fromkeys(("cards", "target", "seed", "cell", "suits"), "cards note"),
        **dict.fromkeys(("rule", *NUMBERS), "rule note"),
        **dict.fromkeys(("attempts", "temperature"), "play note"),
        "typed": "own note",
    }
    FROZEN = (
        *CHIPS, "cards", "target", "seed", "new deal", "cell", "suits", "rule", *NUMBERS, "attempts", "temperature",
        "count",
    )  # fmt: skip

    def cell(self, chosen: GeneralPointsSettings) -> str:
        return chosen.value("cell")

    def controls(self, window: Window[GeneralPointsSettings]) -> Updates:
        chosen = window.settings
        return {**super().controls(window), **self._numbers(chosen, {n: getattr(chosen, n) for n in NUMBERS})}

    def lay(self, window: Window[GeneralPointsSettings]) -> Updates:
        shown = super().lay(window)
        lesson = html.lesson(window.settings)
        return {**self._numbers(window.settings), **shown, "cards note": shown["cards note"] or lesson}

    def deal(self, window: Window[GeneralPointsSettings], task: Task) -> Updates:
        return {"hand": html.hand(task, solvable(task)), "keys": html.keys(task)}

    def title(self, task: Task) -> str:
        return " ".join(ranks_of(task.deal))

    def deal_next(self, window: Window[GeneralPointsSettings], step: int) -> Updates:
        """Deal the hand of a seed, ``step`` seeds further."""
        chosen = window.settings
        try:
            seed = (chosen.value("seed") + step) % (LAST_SEED + 1)
            dealt = replace(chosen, seed=seed).dealt()
        except FieldError as error:
            return self.beside(error)
        return self._on_the_table(replace(window, settings=dealt))

    def preset(self, window: Window[GeneralPointsSettings], preset: Preset) -> Updates:
        """Put a preset on the table, with the seed and temperature that its note is about; the other fields stay."""
        chosen = replace(
            window.settings, cards=preset.cards, rule=preset.rule, target=TARGET, temperature=TEMPERATURE, seed=SEED
        )
        return self._on_the_table(replace(window, settings=chosen))

    def _on_the_table(self, window: Window[GeneralPointsSettings]) -> Updates:
        return {**self.lay(window), **self.controls(window), "typed": ""}

    @staticmethod
    def _numbers(chosen: GeneralPointsSettings, values: Updates | None = None) -> Updates:
        """The three numbers are there only for a rule of one's own, the suits only where they are seen."""
        own = chosen.rule == CUSTOM
        numbers: Updates = {
            name: gr.update(visible=own, **({"value": values[name]} if values else {})) for name in NUMBERS
        }
        return {**numbers, "suits": gr.update(visible=chosen.cell == CELLS[1], value=chosen.suits)}

    def answer(self, chosen: GeneralPointsSettings, own: Episode, typed: str) -> str:
        if not typed.strip():
            raise FieldError("typed", "Type a formula first, or click the cards and signs.")
        state = own.position.state
        answer = written(state["cards"], state["faces"], state["target"], typed.strip())
        problem = read(answer).problem
        if problem:
            raise FieldError("typed", f"This formula cannot be read: {problem}.")
        return answer

    def own_side(self, window: Window[GeneralPointsSettings], task: Task) -> Updates:
        here = self.own(window, task)
        misses = sum(not a.verdict.success for a in here.attempts) if here else 0
        hint = here is not None and misses >= MISSES_BEFORE_HINT and not here.success
        return {**super().own_side(window, task), "hint": gr.update(visible=hint)}

    def show_solution(self, window: Window[GeneralPointsSettings]) -> Updates:
        """Tell the person a solution."""
        try:
            found = solution(window.settings.task)
        except FieldError as error:
            return self.beside(error)
        message = f"One solution: {found}" if found else "Nothing reaches the target under this rule."
        return {"own note": note(message, "plain")}


def written(ranks: list[str], faces: Rule, target: int, formula: str) -> str:
    """A person's formula as an answer: the page asks for the formula alone, and fills in the other fields."""
    ended = formula if "=" in formula else f"{formula}={target}"
    return json.dumps({"cards": ranks, "number": numbers_of(ranks, faces), "formula": ended}, ensure_ascii=False)


def solvable(task: Task) -> bool:
    return solver.solvable(numbers_of(ranks_of(task.deal), task.rule["faces"]), task.rule["target"])


def solution(task: Task) -> str | None:
    """A formula that solves the task, if there is one."""
    return next(solver.solve(numbers_of(ranks_of(task.deal), task.rule["faces"]), task.rule["target"]), None)
