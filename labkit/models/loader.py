"""Load any causal language model, text or vision, whole or as an adapter."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.auto_mappings import PROCESSOR_MAPPING_NAMES
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from labkit.counting import counted
from labkit.errors import UsageError
from labkit.models import chat, files, vision
from labkit.models.bundle import ModelBundle
from labkit.models.files import first_line
from labkit.models.picture_reader import PictureReader
from labkit.models.sampling.trial import level_of

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    path: str | Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    base: str | Path | None = None,
    trust_remote_code: bool = False,
) -> ModelBundle:
    """Load a checkpoint for playing or training.

    Args:
        path: a Hugging Face directory, a PEFT adapter's directory, or a hub id.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``: CUDA where there is some.
        dtype: of the weights: a name in :data:`DTYPES`, or ``auto``: the checkpoint's own, float32 on a CPU.
        base: the model under an adapter, if it is not where the adapter says.
        trust_remote_code: run code that comes with the checkpoint.

    Raises:
        UsageError: it cannot be loaded; the message is one line and says what to do.
    """
    folder = files.folder_of(path, remote_code=trust_remote_code)
    adapter = (folder / files.ADAPTER).is_file()
    root = files.base_of(folder, base, remote_code=trust_remote_code) if adapter else folder
    for where in dict.fromkeys((root, folder)):
        files.check_pointers(where)
    config = _check(root, trust_remote_code)
    if adapter:
        files.check_weights(folder, "adapter_model")
    place = device_of(device)
    weights = dtype_of(dtype, place)
    try:
        with _quietly():
            model = _model(root, config, weights, trust_remote_code)
            if adapter:
                model = _adapted(model, folder)
            bundle = _bundle(model.to(place).eval(), folder, root, config, trust_remote_code)
            level_of(bundle.model, bundle.reader)
            return bundle
    except UsageError:
        raise
    except Exception as error:
        # Any error that transformers raises here is about the checkpoint, not about this program.
        raise UsageError(_why(path, error, place)) from error


def _bundle(
    model: transformers.PreTrainedModel,
    folder: Path,
    root: Path,
    config: dict[str, Any],
    trust_remote_code: bool,
) -> ModelBundle:
    """The model with its tokenizer and chat template, checked against each other."""
    home = _tokenizer_folder(folder, root)
    processor, blind = processor_of(home, config, trust_remote_code) if _is_vlm(config) else (None, None)
    tokenizer = _tokenizer(home, processor, trust_remote_code)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UsageError(
            f"the tokenizer of {folder} has {counted(len(tokenizer), 'token')} and its model {rows:,}; "
            "replace it by the model's own tokenizer"
        )
    if tokenizer.pad_token_id is None:
        # Padding is masked wherever it is used, so any token will do.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    if _is_vlm(config):
        vision.mend(model)
    more = {} if blind is None else {"blind": blind}
    return ModelBundle(
        model,
        tokenizer,
        reader=PictureReader(processor, tokenizer, model.config) if processor else None,
        is_vlm=_is_vlm(config),
        adapter=folder != root,
        model_type=config["model_type"],
        path=folder,
        parameters=sum(p.numel() for p in model.parameters()),
        layout=chat.layout(tokenizer, parts=_is_vlm(config)),
        **more,
    )


def device_of(name: str) -> torch.device:
    """The device of a name; ``auto`` is CUDA where there is some, else the CPU.

    Raises:
        UsageError: there is no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    found = re.fullmatch(r"([a-z]+)(?::(\d+))?", name)
    if not found or int(found[2] or 0) >= there.get(found[1], 0):
        kinds = ", ".join(kind for kind, count in there.items() if count)
        raise UsageError(f"this machine has no device {name!r}; use auto, {kinds}")
    return torch.device(name)


def dtype_of(name: str, device: torch.device) -> torch.dtype | str:
    """What ``from_pretrained`` takes as the dtype of a name.

    Raises:
        UsageError: there is no such dtype.
    """
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in DTYPES:
        raise UsageError(f"no dtype {name!r}; use auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _check(root: Path, trust_remote_code: bool) -> dict[str, Any]:
    """The config of a model's directory, after all checks that need no loading."""
    config = files.read_json(root / files.CONFIG)
    kind, own_code = config.get("model_type"), "auto_map" in config
    if not isinstance(kind, str):
        raise UsageError(f"{root / files.CONFIG} names no model_type; save the checkpoint again")
    if own_code and not trust_remote_code and kind not in CONFIG_MAPPING_NAMES:
        raise UsageError(f"{root} brings its own code; allow it with --trust-remote-code where you trust it")
    if not own_code and kind not in CONFIG_MAPPING_NAMES:
        known = f"transformers {transformers.__version__} does not know"
        raise UsageError(f"{root} is of type {kind!r}, which {known}; update transformers")
    if not own_code and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not _is_vlm(config):
        remedy = "choose a causal or a vision language model"
        raise UsageError(f"{root} is of type {kind!r}, which does not continue text; {remedy}")
    files.check_weights(root, "model")
    return config


def _is_vlm(config: dict[str, Any]) -> bool:
    """Decided from the config: transformers may drop a vision tower silently when asked for a causal model."""
    architecture = (config.get("architectures") or [""])[0]
    vision = config["model_type"] in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return vision and not architecture.endswith("ForCausalLM")


def _model(
    root: Path, config: dict[str, Any], dtype: torch.dtype | str, trust_remote_code: bool
) -> transformers.PreTrainedModel:
    auto = transformers.AutoModelForImageTextToText if _is_vlm(config) else transformers.AutoModelForCausalLM
    options = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": trust_remote_code}
    # A tensor of another shape is refused here, by name, and not by a report that is not shown.
    found = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, info = auto.from_pretrained(root, dtype=dtype, **found, **options)
    _refuse_missing(info["missing_keys"], root)
    for name, saved, built in sorted(info["mismatched_keys"]):
        raise UsageError(
            f"{root}: {name} is {_shape(saved)} in the weights and {_shape(built)} by {files.CONFIG}; "
            "correct the config, or copy the weights that belong to it"
        )
    own = model.state_dict().keys()
    more = [k for k in sorted(info["unexpected_keys"]) if re.sub(r"\.\d+\.", ".0.", k, count=1) in own]
    if more:
        raise UsageError(
            f"{root}: the weights have {more[0]}, and {files.CONFIG} no such layer; "
            "correct the config, or copy the weights that belong to it"
        )
    return model


def _adapted(model: transformers.PreTrainedModel, folder: Path) -> transformers.PreTrainedModel:
    import peft
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="pt") as saved:
        shapes = {name: tuple(saved.get_slice(name).get_shape()) for name in saved.keys()}  # noqa: SIM118
    # An adapter that was trained with added tokens brings its own embeddings.
    rows = {shape[0] for name, shape in shapes.items() if re.search(_EMBEDDINGS, name)}
    if rows and max(rows) != model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(max(rows), mean_resizing=False)
    config = peft.PeftConfig.from_pretrained(folder)
    if config.is_prompt_learning:
        raise UsageError(f"the adapter {folder} adds prompt tokens; use a LoRA adapter, which changes weights")
    adapted = peft.PeftModel.from_pretrained(model, folder, config=config, ignore_mismatched_sizes=True)
    own = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    _refuse_missing(own.keys() - shapes.keys(), folder)
    for name in sorted(own.keys() & shapes.keys()):
        if tuple(own[name].shape) != shapes[name]:
            raise UsageError(
                f"the adapter {folder}: {name} is {_shape(shapes[name])} and its base model needs "
                f"{_shape(own[name].shape)}; name the base that it was trained on with --base"
            )
    return adapted


_EMBEDDINGS = r"(embed_tokens|lm_head|wte|word_embeddings|embed_in|embed_out)\.weight$"


def _shape(shape: Sequence[int]) -> str:
    return " by ".join(map(str, shape))


def _refuse_missing(missing: Collection[str], folder: Path) -> None:
    """Refuse missing weights: transformers would fill them with random numbers."""
    if missing:
        raise UsageError(
            f"{folder} lacks {counted(len(missing), 'weight')} ({min(missing)} ...); copy or save it again"
        )


def _tokenizer_folder(folder: Path, root: Path) -> Path:
    """Where tokenizer and processor lie: beside an adapter, or beside its base model."""
    home = next((d for d in (folder, root) if any((d / name).is_file() for name in files.TOKENIZER)), None)
    if home is None:
        raise UsageError(f"{root} has no tokenizer ({files.TOKENIZER[0]}); save one beside the model")
    return home


def _tokenizer(
    home: Path, processor: transformers.ProcessorMixin | None, trust_remote_code: bool
) -> transformers.PreTrainedTokenizerBase:
    """The tokenizer, with its chat template or the processor's."""
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(home, **options)
    except Exception as error:
        raise UsageError(f"cannot read the tokenizer of {home}: {first_line(error)}; save it again") from error
    tokenizer.chat_template = (
        tokenizer.chat_template or getattr(processor, "chat_template", None) or files.chat_template(home)
    )
    if tokenizer.chat_template is None:
        raise UsageError(
            f"{home} has no chat template, so it may be a base model; use its instruction-tuned sibling, "
            "or put a chat_template.jinja there"
        )
    return tokenizer


def processor_of(
    home: Path, config: dict[str, Any], trust_remote_code: bool = False
) -> tuple[transformers.ProcessorMixin | None, str | None]:
    """The processor of a vision model's folder; or None, and why there is none. Text needs none.

    Args:
        config: the model's ``config.json``.
    """
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    if not any((home / name).is_file() for name in files.PROCESSOR):
        return None, f"it has no processor ({files.PROCESSOR[0]}), which lies beside the original model"
    named = PROCESSOR_MAPPING_NAMES.get(config["model_type"])
    try:
        if named is None or "auto_map" in config:
            return transformers.AutoProcessor.from_pretrained(home, **options), None
        return _for_pictures(named, config["model_type"]).from_pretrained(home, **options), None
    except (OSError, ValueError, ImportError, AttributeError, TypeError) as error:
        return None, f"its processor cannot be loaded ({first_line(error)})"


def _for_pictures(name: str, model_type: str) -> type[transformers.ProcessorMixin]:
    """A family's processor without its part for videos, which needs packages that pictures do not need."""
    family = vision.FAMILIES.get(model_type, vision.Family())
    own = getattr(transformers, family.processor or name)

    def attributes(cls: type[transformers.ProcessorMixin]) -> list[str]:
        return [part for part in own.get_attributes() if part != "video_processor"]

    # The name is saved with the processor.
    return type(name, (own,), {"get_attributes": classmethod(attributes)})


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the tables, bars and warnings of a load; what matters in them is checked here."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _why(path: str | Path, error: Exception, device: torch.device) -> str:
    said = first_line(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in said:
        return f"{path} does not fit into the memory of {device}; try bfloat16, or another device"
    return f"cannot load {path}: {said}"
