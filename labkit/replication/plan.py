"""What a figure is made of, as data: ``configs/figures/NN.yaml``.

A curve names a training config and what is set in it; with its cells, grid values and seeds it stands for a number
of runs, each of them one resolved config. Nothing here knows where runs are stored, or whether they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeFloat, ValidationInfo, field_validator

from labkit.config import Config, read
from labkit.errors import UsageError

FOLDER = Path("configs/figures")
"""Where the plans are, in a clone of the repository."""

Method = Literal["init", "sft", "rl"]
Says = Literal["rises", "falls", "does not rise", "does not fall"]


class Numbers(Config):
    """What the paper gives in numbers, as shares (.034 is 3.4%)."""

    value: dict[str, float] = {}
    """Of the headline metric at the end, by suite."""
    change: dict[str, float] = {}
    """Of the headline metric, by suite: from Init at the end or, where a figure says so, at equal compute."""


class Start(Config):
    """A checkpoint of another curve of the same figure, of the same seed, from which a run goes on."""

    curve: str
    """The other curve's name."""
    step: int = Field(ge=1)


class CurvePlan(Config):
    """One curve, in each of its cells and at each value of its grid."""

    name: str
    method: Method
    cells: tuple[str, ...] = ("gp-l",)
    config: str | None = None
    """Training config below ``configs/experiments``; ``{cell}`` stands for the cell. Not for ``init``."""
    player: str | None = Field(None, validate_default=True)
    """In place of it, a checkpoint that is evaluated as it is; ``{cell}`` stands for the cell."""
    set: dict[str, Any] = {}
    """Settings in place of the config's; dots reach into sections."""
    grid: tuple[dict[str, tuple[float, ...]], ...] = ()
    """Settings of which every combination is a curve; of several grids, the combinations of each, once."""
    seeds: tuple[int, ...] | None = None
    """In place of the figure's."""
    start: Start | None = None
    """Where the run begins, in place of the config's ``model``."""
    until: int | None = Field(None, ge=1)
    """The step at which its runs end here, if they went on for longer; a checkpoint was saved there."""
    temperature: dict[str, NonNegativeFloat] = {}
    """At which its ends are evaluated in a cell, in place of the figure's; a number is that of all its cells."""
    paper: dict[str, Numbers] = {}
    """The paper's numbers for this curve, by cell."""

    @field_validator("grid", mode="before")
    @classmethod
    def _grids(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("grid")
    @classmethod
    def _alike(cls, value: tuple[dict[str, tuple[float, ...]], ...]) -> tuple[dict[str, tuple[float, ...]], ...]:
        if len({tuple(grid) for grid in value}) > 1:
            raise ValueError("the grids of a curve have to set the same things, in the same order")
        return value

    @field_validator("temperature", mode="before")
    @classmethod
    def _of_all_cells(cls, value: Any, info: ValidationInfo) -> Any:
        return dict.fromkeys(info.data.get("cells", ()), value) if isinstance(value, int | float) else value

    @field_validator("player")
    @classmethod
    def _trained_or_there(cls, value: str | None, info: ValidationInfo) -> str | None:
        method, trained = info.data.get("method"), info.data.get("config") is not None
        if method == "init" and trained:
            raise ValueError("a curve of method init has no config")
        if trained == (value is not None):
            needed = "player" if method == "init" else "config, or player"
            raise ValueError(f"a curve of method {method} needs {needed}")
        return value


class Evaluation(Config):
    """How end points are evaluated: every hand or route of a split once."""

    suites: tuple[str, ...] = ("id", "rule-ood")
    split: str = "test"
    seed: int = 0
    """Of the order of the cards in a hand."""
    attempts: int | None = None
    """Answers at a position; the cell's own number if not given."""
    temperature: float = Field(0.0, ge=0)
    """At 1 the policy itself is measured, as it plays while it trains; at 0 its likeliest words."""


class Claim(Config):
    """What the paper says of a curve, put so that data can agree or disagree."""

    curve: str
    suite: str = "rule-ood"
    says: Says
    than: str = "start"
    """What it is compared with: ``start``, the curve's own beginning; ``origin``, the beginning of the curve that it
    goes on from; or another curve of the same cell."""
    equal_compute: bool = False
    """Compare the growths since the start at the compute that all curves have reached, in place of the ends."""
    margin: float = Field(0.05, ge=0)
    """For ``does not ...``: the change that would be too small to matter."""

    @field_validator("equal_compute")
    @classmethod
    def _from_its_own_start(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("than") == "origin":
            raise ValueError("growth is counted from a curve's own start; compare it with start, or another curve")
        return value


class Plan(Config):
    """A figure."""

    title: str
    kind: Literal["curves", "ends", "growth", "grid"]
    """``curves`` over training; ``ends`` of training side by side; ``growth``: curves, and how far they come at equal
    compute; ``grid`` of settings."""
    question: str
    """What the reader should look for, in one or two sentences."""
    source: str
    """Where the paper has it."""
    paper: str
    """What the paper found, in one or two sentences."""
    caveat: str = ""
    """How ours differs from the paper's, where that bears on the reading."""
    suites: tuple[str, ...] = ("id", "rule-ood")
    """Panels from left to right; success on the first counts as ID success, where curves are drawn over it."""
    seeds: tuple[int, ...] = (100, 101, 102)
    set: dict[str, Any] = {}
    """Settings of every training config of the figure."""
    evaluation: Evaluation | None = None
    """How the ends are evaluated; without it, the last probe of a run is its end."""
    curves: tuple[CurvePlan, ...]
    claims: tuple[Claim, ...] = ()
    signs: bool = False
    """Whether its claims are rows of the table of signs in RESULTS.md."""

    @field_validator("curves")
    @classmethod
    def _starts(cls, value: tuple[CurvePlan, ...]) -> tuple[CurvePlan, ...]:
        names = [c.name for c in value]
        if len(set(names)) < len(names):
            raise ValueError("two curves have the same name")
        for number, curve in enumerate(value):
            if curve.start and curve.start.curve not in [c.name for c in value[:number] if c.config and not c.grid]:
                raise ValueError(
                    f"{curve.name} starts from {curve.start.curve!r}, which is no single trained curve before it"
                )
        return value


@dataclass(frozen=True)
class Curve:
    """One line of a figure: one cell, one setting, some seeds."""

    name: str
    cell: str
    method: Method
    seeds: tuple[int, ...]
    config: Path | None
    overrides: tuple[str, ...]
    """``key=value`` words for ``labkit train --set``, but for the seed's and the start's."""
    player: str | None = None
    point: Mapping[str, float] = field(default_factory=dict)
    """The values of the grid."""
    family: str = ""
    """The name of the curve that the grid belongs to."""
    source: Curve | None = None
    """The curve from whose checkpoint this one goes on."""
    step: int = 0
    """The step of that checkpoint."""
    until: int | None = None
    """The step at which its runs end here; None where that is their last."""
    temperature: float | None = None
    """At which its ends are evaluated, in place of the figure's."""
    paper: Numbers = field(default_factory=Numbers)

    @property
    def trained(self) -> bool:
        """Whether it stands for runs, rather than for a checkpoint that is there."""
        return self.config is not None

    def end_of(self, run: str) -> str:
        """The player at the end of one of its runs.

        Args:
            run: the run's id.
        """
        return f"run:{run}" if self.until is None else f"run:{run}@{self.until}"

    @property
    def training_config(self) -> Path:
        """The file of its training config.

        Raises:
            UsageError: it stands for a checkpoint that is there.
        """
        if self.config is None:
            raise UsageError(f"curve {self.name} has no config: it is the checkpoint {self.player}, not a training run")
        return self.config

    def words(self, seed: int) -> list[str]:
        """``key=value`` words of one seed's run."""
        return [f"seed={seed}", *self.overrides]

    def resolved(self, seed: int) -> dict[str, Any]:
        """The plain data of one seed's config.

        Raises:
            UsageError: it has no config, or the config cannot be read.
        """
        return read(self.training_config, self.words(seed))


@dataclass(frozen=True)
class Figure:
    """A plan with its curves laid out."""

    id: str
    plan: Plan
    curves: tuple[Curve, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.cell for c in self.curves))

    def of(self, cell: str) -> list[Curve]:
        return [c for c in self.curves if c.cell == cell]

    def evaluation_of(self, curve: Curve) -> Evaluation | None:
        """How a curve's ends are evaluated; None where they are its last probes."""
        asked = self.plan.evaluation
        if asked is None or curve.temperature is None:
            return asked
        return asked.model_copy(update={"temperature": curve.temperature})


def plans(folder: str | Path = FOLDER) -> dict[str, Path]:
    """The plans of a folder, by the figures' ids.

    Raises:
        UsageError: there is none.
    """
    found = {p.stem: p for p in sorted(Path(folder).glob("*.yaml"), key=lambda p: p.stem)}
    if not found:
        raise UsageError(f"no figures in {folder}/; go to the folder of the repository")
    return found


def load_plan(
    path: str | Path, *, seeds: tuple[int, ...] | None = None, cells: tuple[str, ...] | None = None
) -> Figure:
    """Read a plan and lay out its curves.

    Args:
        seeds: in place of every curve's.
        cells: only these.

    Raises:
        UsageError: the plan is wrong; or nothing of it is in these cells.
    """
    path = Path(path)
    plan = Plan.parse(read(path), str(path))
    experiments = path.parents[1] / "experiments"
    curves: dict[tuple[str, str], Curve] = {}
    for asked in plan.curves:
        for cell in asked.cells:
            for curve in _laid_out(asked, cell, plan, experiments, curves):
                curves[cell, curve.name] = curve
    known = {name for _, name in curves}
    for claim in plan.claims:
        for name in {claim.curve, claim.than} - {"start", "origin"} - known:
            raise UsageError(f"{path}: a claim is about {name!r}; the curves are {', '.join(sorted(known))}")
        if claim.than == "origin" and not any(c.source for c in curves.values() if c.name == claim.curve):
            raise UsageError(f"{path}: {claim.curve} goes on from no other curve; its claim is than: start")
    kept = [c for c in curves.values() if cells is None or c.cell in cells]
    if not kept:
        if cells is None:
            raise UsageError(f"{path} has no curves; add one")
        raise UsageError(f"figure {path.stem} has nothing in {', '.join(cells)}; choose another cell")
    return Figure(path.stem, plan, tuple(kept if seeds is None else (_reseeded(c, seeds) for c in kept)))


def _laid_out(
    asked: CurvePlan, cell: str, plan: Plan, experiments: Path, before: Mapping[tuple[str, str], Curve]
) -> list[Curve]:
    laid = []
    for point in _points(asked.grid):
        name = " ".join([asked.name, *(f"{key} {value:g}" for key, value in point.items())])
        settings = {**plan.set, **asked.set, **point}
        laid.append(
            Curve(
                name=name,
                cell=cell,
                method=asked.method,
                # An Init is one checkpoint, not a run for each seed.
                seeds=asked.seeds or plan.seeds if asked.config else (0,),
                config=experiments / asked.config.format(cell=cell) if asked.config else None,
                overrides=tuple(f"{key}={_flow(value)}" for key, value in settings.items()),
                player=asked.player.format(cell=cell) if asked.player else None,
                point=point,
                family=asked.name,
                source=before[cell, asked.start.curve] if asked.start else None,
                step=asked.start.step if asked.start else 0,
                until=asked.until,
                temperature=asked.temperature.get(cell),
                paper=asked.paper.get(cell, Numbers()),
            )
        )
    return laid


def _points(grids: tuple[dict[str, tuple[float, ...]], ...]) -> list[dict[str, float]]:
    """What the curves of a grid set: nothing, once, where there is none."""
    found = [
        dict(zip(grid, values, strict=True)) for grid in grids or ({},) for values in itertools.product(*grid.values())
    ]
    return [point for number, point in enumerate(found) if point not in found[:number]]


def _reseeded(curve: Curve, seeds: tuple[int, ...]) -> Curve:
    if not curve.trained:
        return curve
    return replace(curve, seeds=seeds, source=_reseeded(curve.source, seeds) if curve.source else None)


def _flow(value: Any) -> str:
    """A value as one YAML word: what :func:`labkit.config.read` reads back as the same."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
