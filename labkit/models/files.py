"""Find a checkpoint and check its files, before anything heavy is imported or loaded.

Weights are read from safetensors only: a pickle can run code when it is opened.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

from labkit.errors import UsageError

GGUF = b"GGUF"
"""The first bytes of a GGUF file, the format of llama.cpp."""
CONFIG, ADAPTER = "config.json", "adapter_config.json"
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
PROCESSOR = ("processor_config.json", "preprocessor_config.json")
_PICKLES = re.compile(r"(pytorch_model|adapter_model|model|consolidated)[^/]*\.(bin|pt|pth|ckpt|pkl)")
_POINTER = b"version https://git-lfs"
_FETCHED = ("*.json", "*.jinja", "*.safetensors", "*.model", "*.txt")


def is_hub_id(spec: str) -> bool:
    """Whether a text can only be a model's id on the hub: ``owner/name``, and no folder ``owner`` here."""
    owner = spec.partition("/")[0]
    return re.fullmatch(r"[\w.-]+/[\w.-]+", spec) is not None and owner != ".." and not Path(owner).is_dir()


def folder_of(spec: str | Path, *, remote_code: bool = False) -> Path:
    """The directory of a checkpoint. That of a hub id is in the local cache; it is fetched if it is not there.

    Args:
        remote_code: fetch the checkpoint's own code too.

    Raises:
        UsageError: there is none, or it holds no model; the message names the nearest one that does.
    """
    path = Path(spec)
    if not path.exists() and is_hub_id(str(spec)):
        path = _snapshot(str(spec), remote_code)
    if not path.is_dir():
        raise UsageError(_no_folder(path))
    if not _holds_model(path):
        inner = [p for pattern in ("*", "*/*") for p in path.glob(pattern) if _holds_model(p)]
        hint = f"did you mean {max(inner, key=_step)}?" if inner else "save one there with save_pretrained"
        raise UsageError(f"{path} holds neither {CONFIG} nor {ADAPTER}; {hint}")
    return path


def _holds_model(path: Path) -> bool:
    return (path / CONFIG).is_file() or (path / ADAPTER).is_file()


def _step(path: Path) -> tuple[int, str]:
    """Sorts ``step-300`` behind ``step-50``."""
    digits = re.search(r"(\d+)$", path.name)
    return (int(digits[1]) if digits else -1, str(path))


def is_gguf(file: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    with file.open("rb") as handle:
        return handle.read(len(GGUF)) == GGUF


def _no_folder(path: Path) -> str:
    if path.is_file() and is_gguf(path):
        return f"{path} is a GGUF file; make a checkpoint of it with `labkit import {path} DIR`"
    if path.exists():
        return f"{path} is a file; name the directory that it lies in, {path.parent}"
    here = path
    while not here.parent.is_dir():
        here = here.parent
    siblings = [p.name for p in here.parent.iterdir() if p.is_dir()]
    near = difflib.get_close_matches(here.name, siblings, 1)
    if near:
        return f"no directory {path}; did you mean {here.parent / near[0]}?"
    return f"no directory {path}; there is no {here.name} in {here.parent.resolve()}"


def _snapshot(hub_id: str, remote_code: bool) -> Path:
    from huggingface_hub import is_offline_mode, snapshot_download

    wanted = [*_FETCHED, "*.py"] if remote_code else list(_FETCHED)
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except Exception as error:
        # Wrong names, missing rights, network and disk errors all become one line for the user.
        if is_offline_mode():
            reason = "the hub is switched off: check the name, or let it be fetched with HF_HUB_OFFLINE=0"
        else:
            reason = f"it cannot be fetched: {first_line(error)}; check the name and the connection"
        missing = f"{hub_id} is neither a directory here nor in the local Hugging Face cache"
        raise UsageError(f"{missing}, and {reason}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; save the checkpoint again") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({first_line(error)}); save the checkpoint again") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no JSON object; save the checkpoint again")
    return data


def check_pointers(folder: Path) -> None:
    """Make sure that no file of a checkpoint is a pointer of Git LFS in place of the file.

    Raises:
        UsageError: one is.
    """
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.stat().st_size < 1024 and file.read_bytes().startswith(_POINTER):
            raise UsageError(f"{file} is a Git LFS pointer, not the file itself; run `git lfs pull` in {folder}")


def chat_template(folder: Path) -> str | dict[str, str] | None:
    """The chat template that lies beside a model as ``chat_template.json``; one, or several by name.

    Raises:
        UsageError: the file holds something else.
    """
    file = folder / "chat_template.json"
    if not file.is_file():
        return None
    found = read_json(file).get("chat_template")
    if isinstance(found, list) and all(isinstance(t, dict) and {"name", "template"} <= t.keys() for t in found):
        return {str(template["name"]): str(template["template"]) for template in found}
    if not isinstance(found, str | dict):
        raise UsageError(f"{file} holds no chat_template; copy it again")
    return found


def check_weights(folder: Path, stem: str) -> list[Path]:
    """The safetensors files of a directory: ``stem.safetensors``, or the shards that its index names.

    Raises:
        UsageError: there are none, only pickles, one is missing, or one is cut short.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if single.is_file():
        files = [single]
    elif index.is_file():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise UsageError(f"{index} names no weights; save the checkpoint again")
        files = sorted({folder / str(name) for name in shards.values()})
    else:
        pickles = [p.name for p in sorted(folder.iterdir()) if _PICKLES.fullmatch(p.name)]
        if pickles:
            raise UsageError(
                f"{folder} has its weights as a pickle ({pickles[0]}), which can run code when it is opened; "
                "where you trust it, convert it: load it with transformers and save it with save_pretrained"
            )
        raise UsageError(f"{folder} has no weights ({single.name}); copy them there, or save it again")
    for file in files:
        _check_whole(file)
    return files


def _check_whole(file: Path) -> None:
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise UsageError(f"{file.parent} lacks {file.name}, which its index names; copy that too")
    try:
        with safe_open(file, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        reason = first_line(error)
        raise UsageError(f"{file} is damaged or cut short ({reason}); copy or save it again") from None


def base_of(folder: Path, base: str | Path | None, *, remote_code: bool = False) -> Path:
    """The directory of the model under an adapter: the one given, or the one that the adapter names.

    Raises:
        UsageError: neither, or it is not there.
    """
    if base is not None:
        return folder_of(base, remote_code=remote_code)
    named = read_json(folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise UsageError(f"the adapter {folder} does not say which model it adapts; name that with --base")
    # An adapter that moved together with its base may name it as seen from itself.
    beside = not Path(named).is_dir() and (folder / named).is_dir()
    try:
        return folder_of(folder / named if beside else named, remote_code=remote_code)
    except UsageError as error:
        reason = f"the adapter {folder} needs the model it adapts ({error})"
        raise UsageError(f"{reason}; name that with --base") from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message; with the next one where it ends at a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
