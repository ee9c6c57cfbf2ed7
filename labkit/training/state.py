"""What a resumed run needs, saved as a whole or not at all.

Weights and optimiser moments as safetensors, counters as JSON: no pickle, and readable by other tools.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from labkit.compute import Meter
from labkit.errors import UsageError
from labkit.runs.store import replace_folder, settle, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from labkit.runs import Run


class TrainState:
    """Saves and brings back a model, its optimiser and its meter."""

    def __init__(self, run: Run, model: PreTrainedModel, optimizer: torch.optim.Optimizer, meter: Meter) -> None:
        self.run, self.model, self.optimizer, self.meter = run, model, optimizer, meter
        self.path = run.path / "state"

    def save(self, step: int, **more: Any) -> None:
        """Replace the saved state by that after ``step`` finished steps."""
        moments = self.optimizer.state_dict()
        tensors = {
            f"{index}.{name}": value.contiguous()
            for index, entry in moments["state"].items()
            for name, value in entry.items()
        }

        def fill(folder: Path) -> None:
            weights = {n: p.detach().contiguous() for n, p in self.model.named_parameters()}
            save_file(weights, folder / "model.safetensors")
            save_file(tensors, folder / "optimizer.safetensors")
            write_json(folder / "state.json", {"step": step, "meter": self.meter.state(), **more})

        replace_folder(self.path, fill)

    def load(self) -> int:
        """Bring back the saved state; returns the number of finished steps (0 if nothing was saved).

        Metrics logged after it are dropped: those steps are done again.
        """
        if not settle(self.path):
            self.run.rewind(-1)
            return 0
        saved = json.loads((self.path / "state.json").read_text(encoding="utf-8"))
        parameters = dict(self.model.named_parameters())
        weights = load_file(self.path / "model.safetensors")
        if {n: p.shape for n, p in parameters.items()} != {n: w.shape for n, w in weights.items()}:
            raise UsageError(f"{self.path} was saved by another model; start a new run")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in load_file(self.path / "optimizer.safetensors").items():
            index, name = key.split(".", 1)
            entries.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        for spot in fields(self.meter):
            setattr(self.meter, spot.name, saved["meter"][spot.name])
        self.run.rewind(saved["step"])
        return saved["step"]

    def checkpoint(self, step: int, tokenizer: PreTrainedTokenizerBase) -> Path:
        """Keep the weights of a step as a Hugging Face directory."""
        path = self.run.checkpoint(step)
        shutil.rmtree(path, ignore_errors=True)

        def fill(folder: Path) -> None:
            self.model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        path.parent.mkdir(exist_ok=True)
        replace_folder(path, fill)
        return path
