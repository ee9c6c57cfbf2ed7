"""Import a GGUF file, the format of llama.cpp, as a Hugging Face directory that can be played and trained."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from labkit.errors import UsageError
from labkit.models.files import GGUF, first_line, is_gguf


def import_gguf(file: str | Path, folder: str | Path) -> int:
    """Write the model, tokenizer and chat template of a GGUF file as safetensors in fp32; returns the parameters.

    Quantised weights are computed back to fp32, so the directory is four to eight times as large as the file.

    Raises:
        UsageError: the package ``gguf`` is missing, the file is no GGUF file or of an architecture that transformers
            cannot read, or the folder holds something already.
    """
    file, folder = Path(file), Path(folder)
    _check(file, folder)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    except Exception as error:
        # Whatever transformers raises here is about the file, not about this program.
        raise UsageError(f"transformers cannot read {file}: {first_line(error)}; convert another file") from error
    # The weights are no longer quantised; save_pretrained refuses a model that says they are.
    del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()


def _check(file: Path, folder: Path) -> None:
    if not file.is_file():
        raise UsageError(f"no file {file}; give the path of a GGUF file")
    if not is_gguf(file):
        raise UsageError(f"{file} does not begin with {GGUF.decode()}; give the path of a GGUF file")
    if folder.exists() and (not folder.is_dir() or os.listdir(folder)):
        raise UsageError(f"{folder} exists already; give a new or empty folder")
    if find_spec("gguf") is None:
        raise UsageError("reading GGUF files needs the package gguf: pip install gguf")
