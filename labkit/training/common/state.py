"""What a resumed run needs, saved as a whole or not at all.

Weights and optimiser moments as safetensors, counters as JSON: no pickle, and readable by other tools.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from safetensors.torch import load_file, save_file

from labkit.compute import Meter
from labkit.errors import UsageError
from labkit.runs.store import replace_folder, settle, write_json
from labkit.training.common import distributed
from labkit.training.common.parameters import full_state_dict, save_model, trainable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from labkit.runs import Run


class TrainState:
    """Saves and brings back what a model is trained on: its parameters that move, its optimiser and its meter."""

    def __init__(self, run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, meter: Meter) -> None:
        self.run, self.model, self.optimizer, self.meter = run, model, optimizer, meter
        self.path = run.path / "state"

    def save(self, step: int, **more: Any) -> None:
        """Replace the saved state by that after ``step`` finished steps. Every process calls this; one writes."""
        moments = self.optimizer.state_dict()
        tensors = {
            f"{index}.{name}": distributed.full_tensor(value).contiguous()
            for index, entry in moments["state"].items()
            for name, value in entry.items()
        }
        weights = {n: distributed.full_tensor(p.detach()).contiguous() for n, p in trainable(self.model).items()}

        def fill(folder: Path) -> None:
            save_file(weights, folder / "model.safetensors")
            save_file(tensors, folder / "optimizer.safetensors")
            write_json(folder / "state.json", {"step": step, "meter": self.meter.state(), **more})

        if distributed.is_main():
            replace_folder(self.path, fill)

    def load(self) -> int:
        """Bring back the saved state; returns the number of finished steps (0 if nothing was saved).

        Metrics logged after it are dropped: those steps are done again.
        """
        processes = PartialState()
        # Several may resume; one puts the folder right.
        with processes.main_process_first():
            there = settle(self.path)
        if not there:
            if processes.is_main_process:
                self.run.rewind(-1)
            return 0
        saved = json.loads((self.path / "state.json").read_text(encoding="utf-8"))
        parameters = trainable(self.model)
        weights = load_file(self.path / "model.safetensors")
        if {n: p.shape for n, p in parameters.items()} != {n: w.shape for n, w in weights.items()}:
            raise UsageError(f"{self.path} was saved by another model; start a new run")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(distributed.shard_like(weights[name], parameter))
        moved = [p for group in self.optimizer.param_groups for p in group["params"]]
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in load_file(self.path / "optimizer.safetensors").items():
            index, name = key.split(".", 1)
            entries.setdefault(int(index), {})[name] = distributed.shard_like(value, moved[int(index)])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        for name, value in saved["meter"].items():
            setattr(self.meter, name, value)
        if processes.is_main_process:
            self.run.rewind(saved["step"])
        return saved["step"]

    def checkpoint(self, step: int, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
        """Keep the language model of a step as a Hugging Face directory, or as an adapter's.

        Every process calls this; one writes.
        """
        path = self.run.checkpoint(step)
        weights = full_state_dict(model)
        if distributed.is_main():
            shutil.rmtree(path, ignore_errors=True)
            path.parent.mkdir(exist_ok=True)
            replace_folder(path, lambda folder: save_model(model, tokenizer, folder, weights))
        return path
