"""Players by name."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from labkit.envs import game, start
from labkit.errors import UsageError
from labkit.players import Request, registry
from labkit.players.checkpoint import Checkpoint
from labkit.players.simple import Expert, Random, Script
from labkit.runs import Run
from tests import tiny_models


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "llama"
    return tiny_models.save(path, tiny_models.llama(), tiny_models.tokenizer())


@pytest.fixture
def bundled(saved, tmp_path, monkeypatch):
    """The bundled folder of an installation that has three checkpoints, one with a card."""
    for name in ("base", "gp-l/init", "gp-l/sft@300"):
        shutil.copytree(saved, tmp_path / "bundled" / name)
    card = {"summary": "0.8M parameters, SFT-init of 50 steps", "id": 0.1}
    (tmp_path / "bundled/gp-l/init/card.json").write_text(json.dumps(card))
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "bundled")
    return tmp_path / "bundled"


@pytest.fixture
def runs(saved, tmp_path):
    """A run with two checkpoints, and one that has none yet."""
    root = tmp_path / "runs"
    run = Run.create(root, "sft", "stage: sft\ncell: gp-l\nmodel: tiny:base\n")
    for step in (50, 300):
        shutil.copytree(saved, run.checkpoint(step))
    Run.create(root, "young", "stage: sft\n")
    return root


def run_id(runs):
    return next(p.name for p in runs.iterdir() if p.name.endswith("-sft"))


def test_players_that_are_not_models(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('"a"\n')
    found = [registry.load(spec, temperature=1.0) for spec in ("expert", "random", f"script:{file}")]
    assert [type(p) for p in found] == [Expert, Random, Script]
    assert registry.load("expert").answer([Request(start(game("gp-l").task(hand=("3", "3", "8", "8"))))])[0].text


def test_a_directory_with_its_options(saved):
    settings = {"temperature": 0.5, "max_new_tokens": 7, "batch": 3}
    player = registry.load(str(saved), dtype="bfloat16", device="cpu", **settings)
    assert isinstance(player, Checkpoint) and player.name == str(saved)
    assert (player.temperature, player.max_new_tokens, player.batch) == (0.5, 7, 3)
    assert str(player.bundle.model.dtype) == "torch.bfloat16"
    answer = player.answer([Request(start(game("gp-l").task(hand=("3", "3", "8", "8"))))])[0]
    assert 1 <= answer.sample.tokens <= 7


def test_a_bundled_checkpoint(bundled):
    for name in ("base", "gp-l/init", "gp-l/sft@300"):
        player = registry.load(f"tiny:{name}")
        assert (player.name, player.bundle.path) == (f"tiny:{name}", bundled / name)
        assert registry.resolve_checkpoint(f"tiny:{name}") == bundled / name


def test_a_run(runs):
    name = run_id(runs)
    last, first = (registry.load(f"run:{spec}", runs=runs) for spec in (name, f"{name}@50"))
    assert (last.bundle.path.name, first.bundle.path.name) == ("step-300", "step-50")
    assert first.name == f"run:{name}@50"
    assert registry.load("run:sft@300", runs=runs).bundle is last.bundle  # an end of the id is enough
    with pytest.raises(UsageError, match="no step 60; its steps are 50, 300$"):
        registry.load(f"run:{name}@60", runs=runs)
    with pytest.raises(UsageError, match="no step last"):
        registry.load(f"run:{name}@last", runs=runs)
    with pytest.raises(UsageError, match="no checkpoint yet"):
        registry.load("run:young", runs=runs)
    with pytest.raises(UsageError, match="no run other"):
        registry.load("run:other", runs=runs)


def test_an_adapter(saved, tmp_path):
    adapter = tiny_models.save_adapter(tmp_path / "adapter", saved)
    assert registry.load(str(adapter)).bundle.adapter
    assert registry.info(str(adapter)).kind == "adapter"
    moved = shutil.copytree(saved, tmp_path / "moved")
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "gone"}))
    with pytest.raises(UsageError, match="--base"):
        registry.load(str(adapter))
    assert registry.load(str(adapter), base=str(moved)).bundle.adapter


@pytest.mark.parametrize("base", ["tiny:gp-l/init", "run:sft"])
@pytest.mark.parametrize("where", ["option", "config"])
def test_the_base_of_an_adapter_may_be_named_like_a_player(saved, bundled, runs, tmp_path, base, where):
    adapter = tiny_models.save_adapter(tmp_path / "adapter", saved)
    config = adapter / "adapter_config.json"
    named = base if where == "config" else "gone"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": named}))
    option = base if where == "option" else None
    assert registry.load(str(adapter), base=option, runs=runs).bundle.adapter
    assert registry.load_bundle(str(adapter), base=option, runs=runs).adapter


@pytest.mark.parametrize("spec", ["tiny:gp-l/init", "run:sft@50", "PATH"])
def test_a_model_may_be_given_a_name(saved, bundled, runs, spec):
    spec = str(saved) if spec == "PATH" else spec
    player = registry.load(f"My model-2={spec}", runs=runs)
    assert player.name == "My model-2"
    assert player.bundle is registry.load(spec, runs=runs).bundle
    shown = registry.info(f"My model-2={spec}", runs=runs)
    assert shown.summary == "My model-2" and shown.path == registry.info(spec, runs=runs).path
    for wrong in (f"<b>={spec}", f"={spec}", "name="):
        with pytest.raises(UsageError, match="is not NAME=PLAYER"):
            registry.load(wrong, runs=runs)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("exprt", "no player 'exprt'; did you mean expert?"),
        ("tiny:gp-l/inti", "no player 'tiny:gp-l/inti'; did you mean tiny:gp-l/init?"),
        ("gp-l/init", "no player 'gp-l/init'; did you mean tiny:gp-l/init?"),
        ("tiny:", "no player 'tiny:'; bundled are tiny:base, tiny:gp-l/init, tiny:gp-l/sft@300"),
        ("tiny:../bundled/base", "no player 'tiny:../bundled/base'; bundled are tiny:base, "),
        ("somebody", "no player 'somebody'; a player is expert, random, words, script:FILE, tiny:NAME"),
        ("gopher://somewhere", "no player 'gopher://somewhere'; a player is expert"),
        ("some/one", "some/one is neither a directory here nor in the local Hugging Face cache"),
        ("/some/where/else", "no directory /some/where/else"),
        ("script:nothing.jsonl", "cannot read the script nothing.jsonl"),
    ],
)
def test_an_unknown_name_is_put_right_in_one_line(bundled, spec, said):
    for look in (registry.load, registry.info):
        with pytest.raises(UsageError) as caught:
            look(spec)
        assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_directory_goes_before_a_hub_id(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / "someone" / "model")
    monkeypatch.chdir(tmp_path)
    assert registry.load("someone/model").bundle.model_type == "llama"
    with pytest.raises(UsageError, match="did you mean someone/model?"):
        registry.load("someone/modle")


def test_only_models_can_be_located(tmp_path):
    for spec in ("expert", "random", "script:answers.jsonl"):
        with pytest.raises(UsageError, match="is not a model; name a checkpoint"):
            registry.resolve_checkpoint(spec)


def test_the_list(bundled, runs):
    found = {info.spec: info for info in registry.players(runs)}
    name = run_id(runs)
    tiny = ["tiny:base", "tiny:gp-l/init", "tiny:gp-l/sft@300"]
    assert list(found) == ["expert", "random", "words", *tiny, f"run:{name}@50", f"run:{name}@300"]
    assert [i.kind for i in found.values()] == ["expert", "random", "words", *["tiny"] * 3, "run", "run"]
    init, ran = found["tiny:gp-l/init"], found[f"run:{name}@300"]
    assert (init.summary, init.path) == ("0.8M parameters, SFT-init of 50 steps", bundled / "gp-l/init")
    assert init.card["id"] == 0.1
    assert (ran.summary, ran.path.name) == ("sft gp-l, step 300", "step-300")
    for spec, info in found.items():
        assert registry.info(spec, runs=runs) == info


def test_a_damaged_run_does_not_hide_the_others(runs):
    for run in runs.iterdir():
        (run / "config.yaml").write_text("stage: [")
    specs = [info.spec for info in registry.players(runs)]
    assert f"run:{run_id(runs)}@300" in specs


def test_the_last_two_models_stay_loaded(saved, tmp_path):
    a, b, c = (str(shutil.copytree(saved, tmp_path / name)) for name in "abc")
    first = registry.load(a).bundle
    registry.load(b)
    assert registry.load(a, temperature=1.0).bundle is first  # the settings of a player are not the model's
    registry.load(c)  # b, used least recently, goes
    assert registry.load(a).bundle is first
    registry.load(b)
    registry.load(c)
    assert registry.load(a).bundle is not first
    assert registry.load(a, dtype="bfloat16").bundle is not registry.load(a).bundle


def test_a_checkpoint_that_was_written_anew_is_loaded_anew(saved, tmp_path):
    path = shutil.copytree(saved, tmp_path / "mine")
    before = registry.load(str(path)).bundle
    shutil.rmtree(path)
    tiny_models.save(path, tiny_models.llama(seed=1), tiny_models.tokenizer())
    after = registry.load(str(path)).bundle
    assert not (after.model.lm_head.weight == before.model.lm_head.weight).all()


def test_threads_share_one_model(saved, tmp_path):
    path = str(shutil.copytree(saved, tmp_path / "shared"))
    found, together = [], threading.Barrier(4)

    def take():
        together.wait()
        found.append(registry.load(path).bundle)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({id(loaded) for loaded in found}) == 1


def test_names_are_looked_up_without_torch(bundled, runs):
    """In a process of its own, where nothing else has imported anything."""
    code = (
        "import sys, pathlib\n"
        "from labkit.players import registry\n"
        "registry.BUNDLED = pathlib.Path(sys.argv[1])\n"
        "print([i.spec for i in registry.players(sys.argv[2])], registry.load('expert').name)\n"
        "registry.resolve_checkpoint('tiny:base'); registry.info('tiny:gp-l/init')\n"
        "print(sorted({'torch', 'transformers', 'peft', 'huggingface_hub'} & set(sys.modules)))\n"
    )
    command, environment = [sys.executable, "-c", code, bundled, runs], {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    listed, imported = done.stdout.splitlines()
    assert "tiny:gp-l/sft@300" in listed and "@300" in listed
    assert imported == "[]"
