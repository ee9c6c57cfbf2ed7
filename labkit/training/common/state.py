"""The saved state of a run: what ``--resume`` needs, written completely or not at all.

Weights and optimizer moments are safetensors, counters are JSON: no pickle, and other tools can read them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from labkit.compute import Meter
from labkit.errors import UsageError
from labkit.models.files import first_line
from labkit.runs.store import replace_folder, settle, write_json
from labkit.training.common import distributed
from labkit.training.common.card import write_card
from labkit.training.common.parameters import full_state_dict, save_model, trainable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from transformers import PreTrainedModel

    from labkit.runs import Run


class TrainState:
    """Saves and loads the trained parameters, the optimizer's moments and the FLOP meter."""

    def __init__(self, run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, meter: Meter) -> None:
        self.run, self.model, self.optimizer, self.meter = run, model, optimizer, meter
        self.path = run.path / "state"

    def save(self, step: int, **more: Any) -> None:
        """Replace the saved state with that after ``step`` finished steps. Every process calls this; one writes."""
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
        """Load the saved state; returns its number of finished steps (0 if nothing was saved).

        Metrics logged after it are dropped: those steps are done again.

        Raises:
            UsageError: a file is damaged, or another model saved the state.
        """
        processes = PartialState()
        # One process completes a replacement that was interrupted.
        with processes.main_process_first():
            exists = settle(self.path)
        if not exists:
            if processes.is_main_process:
                self.run.rewind(-1)
            return 0
        saved = self._read("state.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
        weights = self._read("model.safetensors", load_file)
        moments = self._read("optimizer.safetensors", load_file)
        parameters = trainable(self.model)
        if {n: p.shape for n, p in parameters.items()} != {n: w.shape for n, w in weights.items()}:
            raise UsageError(f"{self.path} was saved by another model; start a new run")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(distributed.shard_like(weights[name], parameter))
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in moments.items():
            index, name = key.split(".", 1)
            entries.setdefault(int(index), {})[name] = distributed.shard_like(value, trained[int(index)])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        for name, value in saved["meter"].items():
            setattr(self.meter, name, value)
        if processes.is_main_process:
            self.run.rewind(saved["step"])
        return saved["step"]

    def _read(self, name: str, read: Callable[[Path], Any]) -> Any:
        """A file of the saved state.

        Raises:
            UsageError: it cannot be read; the message says where to train on from.
        """
        try:
            return read(self.path / name)
        except (OSError, ValueError, SafetensorError) as error:
            last = max(self.run.checkpoints(), default=None)
            start = "start the run again" if last is None else f"start a new run with model=run:{self.run.id}@{last}"
            raise UsageError(f"{self.path / name} is damaged ({first_line(error)}); {start}") from None

    def checkpoint(self, step: int, model: PreTrainedModel, processing_class: Any) -> Path:
        """Write the language model of a step as a Hugging Face directory, or as an adapter's, with a model card.

        Args:
            processing_class: the tokenizer, or a vision model's processor.

        Every process calls this; one writes.
        """
        path = self.run.checkpoint(step)
        weights = full_state_dict(model)
        if distributed.is_main():
            shutil.rmtree(path, ignore_errors=True)
            path.parent.mkdir(exist_ok=True)

            def fill(folder: Path) -> None:
                save_model(model, processing_class, folder, weights)
                pictured = hasattr(processing_class, "image_processor")
                write_card(folder, self.run.id, step, self.run.config, pictured=pictured)

            replace_folder(path, fill)
        return path
