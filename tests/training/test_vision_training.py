"""Training with pictures, on small random models of each family: SFT, PPO, frozen parts, resuming, saved processors."""

import json

import pytest
import torch
from safetensors.torch import load_file

from labkit.errors import UsageError
from labkit.models.loader import load
from labkit.models.vision import part_of
from labkit.players import registry
from labkit.training import train
from tests import tiny_models, vision_models

SFT = {
    "stage": "sft",
    "cell": "gp-vl",
    "steps": 2,
    "batch_size": 4,
    "lr": 1e-3,
    "mistakes": 1,
    "micro_batch_tokens": 512,
    "save_every": 1,
}
RL = {
    "stage": "rl",
    "cell": "gp-vl",
    "updates": 1,
    "episodes": 4,
    "attempts": 2,
    "lr": 1e-3,
    "kl": 0.1,
    "max_new_tokens": 6,
    "micro_batch_tokens": 1024,
    "critic": "shared",
}


@pytest.fixture(scope="module", params=vision_models.FAMILIES)
def saved(request, tmp_path_factory):
    return vision_models.FAMILIES[request.param](tmp_path_factory.mktemp("vlm") / request.param)


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return vision_models.llava(tmp_path_factory.mktemp("vlm") / "llava")


def run(tmp_path, settings, model, *overrides, **more):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"model": str(model), **settings}))
    return train(config, overrides, out=tmp_path / "runs", **more)


def moved(before, after):
    """The parts of which some parameter has changed."""
    old, new = (load_file(path / "model.safetensors") for path in (before, after))
    assert old.keys() == new.keys()
    return {part_of(name) for name in old if not torch.equal(old[name], new[name])}


def test_sft_trains_every_part(saved, tmp_path):
    done = run(tmp_path, SFT, saved)
    losses = [m["loss"] for m in done.metrics()]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    assert moved(saved, done.checkpoint(2)) == {"vision", "connector", "language"}


def test_ppo_trains_every_part_and_scores_what_was_sampled(saved, tmp_path):
    done = run(tmp_path, RL, saved)
    (metrics,) = done.metrics()
    assert metrics["rollout/logp_mismatch"] < 2e-3
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-4)
    # Before the first step the policy is its own reference.
    assert metrics["objective/kl"] == pytest.approx(0, abs=1e-6)
    assert moved(saved, done.checkpoint(1)) == {"vision", "connector", "language"}


def test_a_checkpoint_keeps_its_processor_and_plays(saved, tmp_path):
    done = run(tmp_path, SFT, saved, "steps=1")
    before, after = load(saved), load(done.checkpoint(1))
    assert after.reader.side == before.reader.side
    player = registry.load(str(done.checkpoint(1)))
    assert player.picture == {"size": before.reader.side}


@pytest.mark.parametrize("frozen", [["vision"], ["vision", "connector"], ["language"]])
def test_frozen_parts_stay(llava, tmp_path, frozen):
    done = run(tmp_path, SFT, llava, f"freeze=[{','.join(frozen)}]", "steps=1")
    assert moved(llava, done.checkpoint(1)) == {"vision", "connector", "language"} - set(frozen)


def test_parts_have_their_own_learning_rates(llava, tmp_path):
    """AdamW's first step moves each weight by its learning rate, unless its gradient is tiny."""
    settings = {**SFT, "steps": 1, "clip": 1e9, "part_lr": {"vision": 1e-5, "connector": 1e-2}}
    done = run(tmp_path, settings, llava)
    old, new = (load_file(path / "model.safetensors") for path in (llava, done.checkpoint(1)))
    largest = dict.fromkeys(("vision", "connector", "language"), 0.0)
    for name in old:
        largest[part_of(name)] = max(largest[part_of(name)], float((old[name] - new[name]).abs().max()))
    assert largest == {
        "vision": pytest.approx(1e-5, rel=0.05),
        "connector": pytest.approx(1e-2, rel=0.05),
        "language": pytest.approx(1e-3, rel=0.05),
    }


def test_lora_adapters_train_on_pictures_and_bring_their_processor(llava, tmp_path):
    done = run(tmp_path, {**SFT, "lora": {"rank": 2}}, llava, "steps=1")
    assert load(done.checkpoint(1)).reader.side == 56


@pytest.mark.parametrize("settings", [SFT, {**RL, "updates": 2, "save_every": 1}])
def test_a_resumed_run_ends_in_the_same_weights(llava, tmp_path, settings, monkeypatch):
    straight = run(tmp_path / "a", settings, llava) if (tmp_path / "a").mkdir() is None else None
    (tmp_path / "b").mkdir()
    from labkit.training.common.state import TrainState

    save = TrainState.save

    def stop_after_the_first(self, step, **more):
        save(self, step, **more)
        if step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(TrainState, "save", stop_after_the_first)
        run(tmp_path / "b", settings, llava)
    (stopped,) = (tmp_path / "b" / "runs").iterdir()
    resumed = train(resume=stopped.name, out=tmp_path / "b" / "runs")
    found = [(r.checkpoint(2) / "model.safetensors").read_bytes() for r in (straight, resumed)]
    assert found[0] == found[1]


def test_an_image_size_that_the_tower_cannot_read_is_refused(llava, tmp_path):
    with pytest.raises(UsageError, match="image_size is 112, and the checkpoint reads pictures of 56 pixels only"):
        run(tmp_path, SFT, llava, "image_size=112")


def test_an_image_size_is_saved_with_the_checkpoint(tmp_path):
    model = vision_models.qwen2_5_vl(tmp_path / "qwen")
    done = run(tmp_path, SFT, model, "image_size=84", "steps=1")
    assert load(done.checkpoint(1)).reader.side == 84


def test_a_size_of_pictures_is_set_in_one_place(llava, tmp_path):
    with pytest.raises(UsageError, match="the size of pictures is image_size"):
        run(tmp_path, {**SFT, "picture": {"size": 64}}, llava)


@pytest.mark.parametrize("settings", [SFT, RL])
def test_a_text_model_is_refused_on_a_cell_that_shows_pictures(tmp_path, settings):
    model = tiny_models.save(tmp_path / "llama", tiny_models.llama(), tiny_models.tokenizer())
    with pytest.raises(UsageError, match="gp-vl shows pictures, and .* reads none: it is a text model"):
        run(tmp_path, settings, model)


def test_a_vision_model_without_its_processor_says_so(llava, tmp_path):
    import shutil

    model = shutil.copytree(llava, tmp_path / "model")
    (model / "processor_config.json").unlink()
    with pytest.raises(UsageError, match="it has no processor .processor_config.json"):
        run(tmp_path, SFT, model)


def test_a_processor_that_does_not_fit_the_tower_is_refused_when_loaded(llava, tmp_path):
    import shutil

    model = shutil.copytree(llava, tmp_path / "model")
    config = json.loads((model / "processor_config.json").read_text())
    config["patch_size"] = 28
    (model / "processor_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="[Ii]mage features and image tokens do not match"):
        load(model)
