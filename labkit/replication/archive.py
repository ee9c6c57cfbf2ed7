"""Stored runs, found by what they ran.

A run is found by its *recipe*: its config, every default filled in, without the settings that change how it is run
and not what comes out. Ids never matter: a ``model`` that is another run's checkpoint is that run's recipe and a
step, so a chain of runs that was trained anew elsewhere is the same chain.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit.errors import UsageError
from labkit.replication.plan import Curve, Evaluation
from labkit.runs.store import Run, listing, write_json
from labkit.training import stages

RESULTS = Path("results")
"""Runs that are kept with the repository."""

UNIMPORTANT = (
    "name", "processes", "micro_batch_tokens", "batch", "save_every", "checkpoints", "trackers",
    "activation_checkpointing",
)  # fmt: skip
"""Settings that change how a run is carried out or kept, not what it learns."""

_CHECKPOINT = re.compile(
    r"^(?:run:(?P<name>[^@]+)(?:@(?P<at>\d+))?|(?:.*/)?(?P<id>[^/]+)/checkpoints/step-(?P<step>\d+)/?)$"
)

Recipe = str
"""Canonical JSON of what a run ran."""


def recipe_of(config: dict[str, Any], archive: Archive | None = None) -> Recipe:
    """The recipe of a config's plain data.

    Args:
        archive: where runs are looked up whose checkpoints the config names.

    Raises:
        UsageError: it is no config of a training stage.
    """
    data = stages.parse(config).model_dump(mode="json")
    kept = {key: value for key, value in data.items() if key not in UNIMPORTANT}
    if archive is not None and "model" in kept:
        kept["model"] = archive.origin(kept["model"])
    return json.dumps(kept, sort_keys=True)


def is_over(run: Run) -> bool:
    """Whether a run has come to its end: it is finished, or was stopped for a reason of its own, a collapse."""
    status = run.status
    return status["status"] == "finished" or (status["status"] == "stopped" and "reason" in status)


class Archive:
    """The runs of several folders; of two with one id, the one of the folder named first."""

    def __init__(self, roots: Iterable[str | Path]) -> None:
        found: dict[str, Run] = {}
        for root in roots:
            for run in listing(root):
                found.setdefault(run.id, run)
        # The newest first, wherever they are.
        self.runs = [found[name] for name in sorted(found, reverse=True)]
        self._by_id = found
        self._recipes: dict[str, Recipe | None] = {}

    def origin(self, model: str) -> Any:
        """What a ``model`` or a player names: a run's recipe and a step where it is a run's checkpoint."""
        found = _CHECKPOINT.match(model)
        if not found:
            return model
        run = self._named(found["name"] or found["id"])
        recipe = self.recipe(run) if run else None
        if run is None or recipe is None:
            return model
        step = found["at"] or found["step"]
        return {"recipe": recipe, "step": int(step) if step else last_step(run)}

    def recipe(self, run: Run) -> Recipe | None:
        """What a run ran; None if it trained nothing, or has settings that there no longer are."""
        if run.id not in self._recipes:
            # A run that names itself, by hand or by mistake, is not followed for ever.
            self._recipes[run.id] = None
            with contextlib.suppress(UsageError, AttributeError, OSError, ValueError):
                self._recipes[run.id] = recipe_of(run.config, self)
        return self._recipes[run.id]

    def asked(self, curve: Curve, seed: int) -> Recipe:
        """The recipe that a curve's run must have.

        Raises:
            UsageError: the curve's config cannot be read, or is wrong.
        """
        config = curve.resolved(seed)
        if curve.source is None:
            return recipe_of(config, self)
        data = json.loads(recipe_of(config))
        data["model"] = {"recipe": self.asked(curve.source, seed), "step": curve.step}
        return json.dumps(data, sort_keys=True)

    def trained(self, recipe: Recipe, step: int | None = None) -> Run | None:
        """A run of this recipe that has come to its end; one with checkpoints rather than one without.

        Args:
            step: the checkpoint that matters most.
        """
        runs = [r for r in self._of(recipe) if is_over(r)]
        return max(runs, key=lambda r: (step in r.checkpoints(), bool(r.checkpoints())), default=None)

    def stopped(self, recipe: Recipe) -> Run | None:
        """A run of this recipe that was interrupted, and can go on."""
        there = (r for r in self._of(recipe) if r.status["status"] == "stopped" and not is_over(r))
        return next((r for r in there if (r.path / "state").is_dir()), None)

    def evaluated(self, player: str, evaluation: Evaluation, cell: str) -> dict[str, Run]:
        """Evaluations of every hand that a player has played, by suite."""
        wanted = self.origin(player)
        found: dict[str, Run] = {}
        for run, config in self._evaluations:
            same = ("split", "seed", "attempts")
            if config.get("cell") != cell or any(config.get(k) != getattr(evaluation, k) for k in same):
                continue
            if config.get("temperature", 0.0) != evaluation.temperature:
                continue
            if self.origin(config["player"]) == wanted:
                for suite in set(evaluation.suites) & set(run.episode_names()):
                    found.setdefault(suite, run)
        return found

    @cached_property
    def _evaluations(self) -> list[tuple[Run, dict[str, Any]]]:
        """Finished evaluations of every hand under the suites' own rules."""
        found = []
        for run in self.runs:
            config = run.config or {}
            others = ("faces", "target", "actions", "walk", "data", "prompts", "deals")
            changed = any(config.get(key) for key in others) or config.get("samples", 1) != 1
            changed = changed or config.get("revision", "dialogue") != "dialogue"
            every = config.get("stage") == "eval" and config.get("episodes") == "all"
            if every and not changed and isinstance(config.get("player"), str) and run.status["status"] == "finished":
                found.append((run, config))
        return found

    def _of(self, recipe: Recipe) -> Iterator[Run]:
        return (run for run in self.runs if self.recipe(run) == recipe)

    def _named(self, name: str) -> Run | None:
        """A run by its id, or by the unambiguous end of one."""
        near = [r for r in self.runs if r.id.endswith(f"-{name}")]
        return self._by_id.get(name) or (near[0] if len(near) == 1 else None)


def last_step(run: Run) -> int:
    """The last step that a run logged."""
    return max((m["step"] for m in run.metrics()), default=0)


def keep(run: Run, root: str | Path = RESULTS, *, episodes: bool = True) -> Run:
    """Copy a finished run in a lean form, in place of a copy that is there.

    Kept are the config, the metrics, the machine and the episodes of the ends, compressed: the first and the last
    probe of a training run, all of an evaluation. Left out are weights and the optimiser's state, the process and
    the host, and folders of the machine.

    Args:
        episodes: keep them; without, a training run's numbers are those that it logged.

    Raises:
        UsageError: the run has not come to its end.
    """
    status = run.status
    if not is_over(run):
        raise UsageError(f"{run.id} is {status['status']}; only a run that has come to its end is kept")
    target = Path(root) / run.id
    if not episodes and run.config.get("stage") == "eval":
        raise UsageError(f"{run.id} is an evaluation and has only episodes; leave --without-episodes out")
    if target.resolve() == run.path.resolve():
        raise UsageError(f"{run.id} is kept in {root}/ already; nothing to do")
    shutil.rmtree(target, ignore_errors=True)
    (target / "episodes").mkdir(parents=True)
    config = (run.path / "config.yaml").read_text(encoding="utf-8")
    (target / "config.yaml").write_text(_portable(config), encoding="utf-8")
    if (run.path / "results.json").is_file():
        results = (run.path / "results.json").read_text(encoding="utf-8")
        (target / "results.json").write_text(_portable(results), encoding="utf-8")
    if run.metrics_path.is_file():
        _pack(run.metrics_path, target / "metrics.jsonl.gz")
    environment = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
    environment["command"] = ["labkit", *(_portable(word) for word in environment.get("command", [])[1:])]
    write_json(target / "environment.json", environment)
    write_json(target / "status.json", {k: v for k, v in status.items() if k not in ("pid", "host")})
    for name in run.episode_names() if episodes else ():
        if _at_an_end(run, name):
            _pack(run.episodes_path(name), target / "episodes" / f"{name}.jsonl.gz")
    return Run(target)


def _at_an_end(run: Run, name: str) -> bool:
    """Whether episodes are of an evaluation, or of a training run's first or last probe."""
    suite, dash, step = name.rpartition("-")
    if not (dash and step.isdigit()):
        return True
    probed = [int(n.rpartition("-")[2]) for n in run.episode_names() if n.startswith(f"{suite}-")]
    return suite != "train" and int(step) in (min(probed), max(probed))


def _pack(source: Path, target: Path) -> None:
    """Write a file compressed; the same bytes each time."""
    data = source.read_bytes()
    target.write_bytes(gzip.compress(gzip.decompress(data) if source.suffix == ".gz" else data, mtime=0))


def _portable(text: str) -> str:
    """Text in which a checkpoint of a run is named by the run, and other absolute paths by their last part."""
    text = re.sub(r"[^\s'\"=]*/([^/\s'\"=]+)/checkpoints/step-(\d+)/?", r"run:\1@\2", text)
    return re.sub(r"(?<![\w.~:/-])/(?:[\w.+-]+/)+([\w.+-]+)", r"\1", text)
