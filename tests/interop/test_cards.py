"""A checkpoint that labkit wrote is a folder for the Hugging Face hub: a model card, and files that load."""

import re
import subprocess
import sys

import pytest
import yaml
from huggingface_hub import ModelCard

from labkit.cli import main
from labkit.players.registry import players
from labkit.runs import Run
from labkit.training.common.card import write_card

SETTINGS = ["steps=1", "batch_size=2", "warmup=0", "model=tiny:gp-l/init"]


@pytest.fixture(scope="module", params=[[], ["lora={}"]], ids=["whole", "adapter"])
def checkpoint(request, tmp_path_factory):
    """The folder, and whether it is an adapter's."""
    runs = tmp_path_factory.mktemp("runs")
    config = "configs/experiments/gp-l/init.yaml"
    assert main(["train", config, "--out", str(runs), "--device", "cpu", "--set", *SETTINGS, *request.param]) == 0
    (path,) = runs.iterdir()
    (folder,) = Run(path).checkpoints().values()
    return folder, bool(request.param)


def test_the_card_has_the_metadata_of_the_hub(checkpoint):
    folder, adapter = checkpoint
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict() == {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["labkit", "sft", "gp-l"],
    }
    run = Run(folder.parents[1])
    assert card.text.strip().startswith(f"# {run.id}, step 1")
    # The settings of the card are those of the run.
    (settings,) = re.findall("```yaml\n(.*?)```", card.text, re.DOTALL)
    assert yaml.safe_load(settings) == run.config


def test_the_code_of_the_card_loads_it(checkpoint):
    folder, adapter = checkpoint
    (code,) = re.findall("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    shown = "print(type(model).__name__, len(tokenizer('24').input_ids), tokenizer.chat_template is not None)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{shown}"], cwd=folder.parent, capture_output=True, text=True, check=True
    )
    kind, length, template = done.stdout.split()
    assert kind == ("PeftModelForCausalLM" if adapter else "LlamaForCausalLM")
    assert int(length) > 0 and template == "True"


@pytest.mark.parametrize("info", [i for i in players() if i.kind == "tiny"], ids=lambda info: info.spec)
def test_a_bundled_player_is_ready_for_the_hub(info):
    card = ModelCard.load(info.path / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-generation"
    assert {"labkit", info.card["config"]["stage"]} <= set(card.data.tags)
    assert card.text.strip().startswith(f"# {info.spec}\n")


def test_a_base_on_the_hub_is_named(tmp_path):
    config = {"stage": "rl", "cell": "gp-vl", "model": "somebody/a-model"}
    write_card(tmp_path, "some-run", 7, config, pictured=True)
    card = ModelCard.load(tmp_path / "README.md")
    assert 'processor = AutoProcessor.from_pretrained("step-7")' in card.text
    data = card.data
    assert (data.base_model, data.pipeline_tag) == ("somebody/a-model", "image-text-to-text")
    # A path or a bundled player is no name there.
    write_card(tmp_path, "some-run", 7, {**config, "model": "tiny:gp-l/init"}, pictured=False)
    assert ModelCard.load(tmp_path / "README.md").data.base_model is None
