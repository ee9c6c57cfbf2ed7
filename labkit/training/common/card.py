"""The model card of a checkpoint: a README.md with the metadata that the Hugging Face hub reads.

Its format: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labkit.models.files import ADAPTER, is_hub_id

_WHOLE = """from transformers import {auto}, {reader}

model = {auto}.from_pretrained("{folder}")
{read} = {reader}.from_pretrained("{folder}")"""
_ADAPTER = """from peft import PeftModel
from transformers import {auto}, {reader}

model = PeftModel.from_pretrained({auto}.from_pretrained("{base}"), "{folder}")
{read} = {reader}.from_pretrained("{folder}")"""
_ADAPTER_HERE = """from labkit.players.registry import resolve_checkpoint
from peft import PeftModel
from transformers import {auto}, {reader}

base = resolve_checkpoint("{base}")  # a name that labkit knows, not the hub
model = PeftModel.from_pretrained({auto}.from_pretrained(base), "{folder}")
{read} = {reader}.from_pretrained("{folder}")"""


def metadata(config: Mapping[str, Any], *, adapter: bool = False, pictured: bool = False) -> dict[str, Any]:
    """What the hub reads from the head of a card.

    Args:
        config: of the run.
        adapter: the checkpoint is an adapter's.
        pictured: the model reads pictures.
    """
    base = str(config.get("model") or "")
    return {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "image-text-to-text" if pictured else "text-generation",
        "tags": ["labkit", config["stage"], *filter(None, [config.get("cell")])],
        **({"base_model": base} if is_hub_id(base) else {}),
    }


def write_card(folder: Path, run: str, step: int, config: Mapping[str, Any], *, pictured: bool) -> None:
    """Write the README.md of a checkpoint folder.

    Args:
        run: the id of the run.
        config: of the run, with every default written out.
        pictured: the model reads pictures.
    """
    adapter = (folder / ADAPTER).is_file()
    stage, base = config["stage"], str(config.get("model") or "")
    auto = "AutoModelForImageTextToText" if pictured else "AutoModelForCausalLM"
    template = (_ADAPTER if is_hub_id(base) else _ADAPTER_HERE) if adapter else _WHOLE
    reader, read = ("AutoProcessor", "processor") if pictured else ("AutoTokenizer", "tokenizer")
    code = template.format(auto=auto, reader=reader, read=read, base=base, folder=f"step-{step}")
    where = f" on `{config['cell']}`" if config.get("cell") else ""
    begin = f" It starts from `{base}`." if base else " It starts from random weights."
    text = f"""---
{yaml.safe_dump(metadata(config, adapter=adapter, pictured=pictured), sort_keys=False)}---

# {run}, step {step}

Trained by labkit: stage `{stage}`{where}, {step} steps.{begin}

```python
{code}
```

`labkit play CELL --player run:{run}@{step}` plays it. All settings:

```yaml
{yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)}```
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
