"""SFT through its front door: a config file, a tiny base model, a run folder."""

import json
import re

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, MptConfig, MptForCausalLM

from labkit.envs import game, judge, start
from labkit.envs.general_points.cards import numbers_of, split_of
from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.chat import Dialogue, encode
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.play import play
from labkit.players import registry
from labkit.runs import find
from labkit.training import train
from labkit.training.sft.data import expert_dialogue, expert_dialogues, write
from labkit.training.sft.mixture import vocabulary
from tests import tiny_models


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A random model with a tokenizer that knows the prompts, as a directory."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = build_tokenizer(vocabulary(), 500)
    build_model(Shape(hidden=32, layers=1, heads=2, feed_forward=32, context=512), tokenizer, 0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def config(base, tmp_path):
    path = tmp_path / "init.yaml"
    settings = {"stage": "sft", "name": "t", "model": str(base), "steps": 4, "batch_size": 4, "lr": 1e-3}
    path.write_text(yaml.safe_dump(settings))
    return path


def test_every_expert_dialogue_is_right_and_of_the_training_split():
    tasks = game("gp-l").tasks("id", "train", seed=3)
    formulas = set()
    for _ in range(60):
        task = next(tasks)
        question, answer = expert_dialogue(task, 2).messages
        assert judge(start(task), answer.text).success
        assert question.text == start(task).position.prompt
        assert split_of(numbers_of([r for r, _ in task.deal["cards"]], "ten")) == "train"
        formulas.add(answer.text)
    assert len(formulas) > 50


def test_a_walk_is_learnt_at_every_kind_of_position():
    tasks, actions, observed = game("virl-l").tasks("id", "train", seed=3), [], set()
    for _ in range(150):
        question, answer = expert_dialogue(next(tasks), 2).messages
        fields = json.loads(answer.text)
        # The newest observation is the last line but one of the prompt.
        assert question.text.splitlines()[-2].partition(": ")[2] == fields["current observation"]
        assert fields["current instruction"] in question.text
        actions.append(fields["action"].partition("(")[0])
        observed.add(re.findall(r"^O(\d+)", question.text, re.M)[-1])
    # Routes of the training city have 12 steps on average: 1 stop, 3.6 turns, else forward.
    assert 2 < actions.count("stop") < 30
    assert 25 < actions.count("turn_direction") < 75
    assert {str(n) for n in range(1, 11)} <= observed


def test_one_hand_is_shown_with_more_than_one_solution():
    # 2 4 6 8 has several solutions; over many deals of it both of the simplest two are shown.
    tasks = [game("gp-l").task(hand=["2", "4", "6", "8"], index=i) for i in range(20)]
    assert len({expert_dialogue(t, 2).messages[1].text for t in tasks}) == 2
    assert len({expert_dialogue(t, 1).messages[1].text for t in tasks}) == 1


def test_a_config_makes_a_run_with_everything_in_it(config, tmp_path):
    run = train(config, ["lr=2e-3", "probe.every=2", "probe.episodes=3"], out=tmp_path / "runs")
    assert run.status["status"] == "finished"
    assert run.config["lr"] == 2e-3
    assert run.config["betas"] == [0.9, 0.98]
    assert list(run.checkpoints()) == [4]
    metrics = run.metrics()
    assert [m["step"] for m in metrics] == [0, 1, 2, 3, 4]
    assert [m["step"] for m in metrics if "eval/id/success" in m] == [0, 2, 4]
    assert metrics[-1]["loss"] < metrics[1]["loss"]
    assert len(list(run.episodes("rule-ood-4"))) == 3


def test_an_interrupted_run_can_be_resumed_and_a_finished_one_cannot(config, tmp_path, monkeypatch):
    from labkit.training.sft import stage

    real, calls = stage.expert_dialogues, []

    def interrupt(*args, **kwargs):
        calls.append(args)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(stage, "expert_dialogues", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, ["save_every=1"], out=tmp_path / "runs")
    (path,) = (tmp_path / "runs").iterdir()
    assert find(path).status["status"] == "stopped"
    monkeypatch.undo()
    run = train(resume=path.name, out=tmp_path / "runs")
    straight = train(config, out=tmp_path / "straight")
    weights = [(r.checkpoint(4) / "model.safetensors").read_bytes() for r in (run, straight)]
    assert weights[0] == weights[1]
    with pytest.raises(UsageError, match="is finished"):
        train(resume=run.id, out=tmp_path / "runs")


def test_adapters_are_trained_resumed_played_and_built_upon(config, base, tmp_path, monkeypatch):
    lora = ["lora.rank=2", "lora.dropout=0.1", "loss=dft", "kl=0.1", "checkpoints=[2]"]
    run = train(config, lora, out=tmp_path / "runs")
    assert list(run.checkpoints()) == [2, 4]
    assert json.loads((run.checkpoint(4) / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    assert [m["kl"] > 1e-9 for m in run.metrics()] == [False, True, True, True]
    players = [registry.load(name, runs=tmp_path / "runs") for name in (f"run:{run.id}@2", str(run.checkpoint(4)))]
    assert all(player.bundle.adapter for player in players)
    task = next(game("gp-l").tasks("id", "dev"))
    assert play(task, players[0]).attempts
    # An adapter of a bundled model names it as a config does, so it can be played on another machine.
    monkeypatch.setattr(registry, "BUNDLED", base.parent)
    named = train(config, ["lora.rank=2", f"model=tiny:{base.name}", "steps=1"], out=tmp_path / "runs")
    (path,) = named.checkpoints().values()
    assert json.loads((path / "adapter_config.json").read_text())["base_model_name_or_path"] == f"tiny:{base.name}"
    assert registry.load(str(path)).bundle.adapter
    # The next run goes on with the adapter, and its KL is to where that stood.
    further = train(config, ["lora.rank=2", f"model={run.checkpoint(4)}", "kl=0.1"], out=tmp_path / "runs")
    assert [m["kl"] > 1e-9 for m in further.metrics()] == [False, True, True, True]
    assert further.metrics()[0]["nll"] < run.metrics()[0]["nll"]


def test_frozen_parts_are_saved_as_they_were(config, base, tmp_path):
    run = train(config, ["freeze=[embeddings, model.norm.*]"], out=tmp_path / "runs")
    before, after = load_file(base / "model.safetensors"), load_file(run.checkpoint(4) / "model.safetensors")
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {"model.embed_tokens.weight", "model.norm.weight"}


@pytest.mark.parametrize("layout", ["messages", "llava"])
def test_a_file_of_the_experts_dialogues_is_learnt_as_the_expert_is(config, tmp_path, layout):
    # Sixteen dialogues in the order of the deals would be four steps; shuffled, the epoch as a whole is the same.
    write(tmp_path / "d", expert_dialogues("gp-l", 16, mistakes=2), layout)
    epoch = [f"data={tmp_path / 'd'}", "steps=null", "epochs=1"]
    run = train(config, [*epoch, "lr=1e-12"], out=tmp_path / "runs")
    dealt = train(config, ["mistakes=2", "lr=1e-12"], out=tmp_path / "runs")
    assert [len(r.metrics()) for r in (run, dealt)] == [4, 4]
    assert run.metrics()[-1]["trained_tokens"] == dealt.metrics()[-1]["trained_tokens"]
    assert run.metrics()[0]["loss"] != dealt.metrics()[0]["loss"]


@pytest.mark.parametrize(("epochs", "steps"), [("1", 3), ("2.5", 7), ("0.1", 1)])
def test_epochs_are_rounded_up_to_whole_steps(config, tmp_path, epochs, steps):
    write(tmp_path / "d", expert_dialogues("gp-l", 10), "messages")
    overrides = [f"data={tmp_path / 'd'}", "steps=null", f"epochs={epochs}"]
    assert len(train(config, overrides, out=tmp_path / "runs").metrics()) == steps


def test_a_vision_model_learns_from_text_while_its_tower_is_frozen(tmp_path):
    words = tiny_models.tokenizer(tiny_models.CHATML_PARTS)
    base = tiny_models.save(tmp_path / "base", tiny_models.mllama(), words)
    config = {"stage": "sft", "model": str(base), "steps": 2, "batch_size": 2, "lr": 1e-3, "freeze": ["vision"]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    run = train(tmp_path / "c.yaml", out=tmp_path / "runs")
    before, after = load_file(base / "model.safetensors"), load_file(run.checkpoint(2) / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all("language_model" in name or "lm_head" in name for name in moved)
    dealt = expert_dialogues("gp-l", 4)
    read = sum(len(example.ids) for example in encode(words, dealt, parts=True))
    assert run.metrics()[-1]["trained_tokens"] == read > 4 * 100
    # Text never reaches the layers that look at a picture.
    assert not [name for name in moved if "cross_attn." in name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "the key 'stage' is missing"),
        ("stage: stf", "did you mean sft?"),
        ("stage: sft\nmodel: expert\nsteps: 1\nlr: 1", "expert"),
        ("stage: sft\nmodel: nowhere\nsteps: 1\nlr: 1", "nowhere"),
        ("stage: sft\nmodel: x\nsteps: 0\nlr: 1", "steps = 0"),
        ("stage: sft\nmodel: x\nsteps: 1\nlr: 1\nstpes: 2", "did you mean 'steps'?"),
        ("stage: sft\nmodel: x\nlr: 1", "give either steps or"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\nepochs: 1\ndata: d", "give either steps or"),
        ("stage: sft\nmodel: x\nlr: 1\nepochs: 1", "give steps, or data"),
        ("stage: sft\nmodel: x\nlr: 1\nepochs: 1\ndata: d", "cannot read d"),
        ("stage: sft\nmodel: x\nlr: 1\nepochs: 1\ndata: d\nmistakes: 2", "mistakes = 2"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\nlora: {rnak: 2}", "unknown key 'lora.rnak'"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\nloss: dtf", "loss = 'dtf'"),
        ("stage: sft\nmodel: tiny:base\nlr: 1\nsteps: 1\nfreeze: [vision]", "no vision"),
        # There is no model x: what is wrong with the data is said before it is looked for.
        ("stage: sft\nmodel: tiny:base\nlr: 1\nsteps: 1\ncell: gp-vl", "reads none: it is a text model"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\ncell: gp-x", "no cell 'gp-x'"),
        ("stage: sft\nmodel: x\nlr: 1\nepochs: 1\ndata: d\ncell: gp-x", "no cell 'gp-x'"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\nsuite: gone", "'gone'"),
        ("stage: sft\nmodel: x\nlr: 1\nsteps: 1\ncell: virl-l\nthought: true", "leave thought out"),
    ],
)
def test_a_wrong_config_is_one_line_that_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        train(path, out=tmp_path / "runs")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- dialogues that cannot be trained on -----------------------------------------------------------------


def chat(*texts):
    """A line of a data file, user and assistant in turn."""
    roles = ("user", "assistant")
    return json.dumps({"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]})


@pytest.mark.parametrize("family", ["learned positions", "rotary positions", "mpt"])
def test_a_dialogue_longer_than_the_models_context_is_named_before_the_first_step(tmp_path, family):
    words = tiny_models.tokenizer()
    if family == "learned positions":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=512, n_embd=16, n_layer=1, n_head=2, n_positions=64))
    elif family == "mpt":
        model = MptForCausalLM(MptConfig(vocab_size=512, d_model=16, n_heads=2, n_layers=1, max_seq_len=64))
    else:
        model = tiny_models.llama(max_position_embeddings=64)
    base = tiny_models.save(tmp_path / "base", model, words)
    config = {"stage": "sft", "model": str(base), "batch_size": 1, "lr": 1e-3, "steps": 2}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    data = tmp_path / "d.jsonl"
    data.write_text("\n".join([chat("a", "b"), "", chat("a", "x" * 300), chat("a", "b")]))
    with pytest.raises(UsageError) as error:
        train(tmp_path / "c.yaml", [f"data={data}"], out=tmp_path / "runs")
    assert str(error.value).startswith(f"{data}: record in line 3 has ") and "context is 64" in str(error.value)
    assert not (find("sft", tmp_path / "runs").path / "metrics.jsonl").exists()
    # The expert's prompts are longer than 64 tokens of this tokenizer too.
    with pytest.raises(UsageError, match="dialogue 1 of step 1 has .* context is 64"):
        train(tmp_path / "c.yaml", ["name=dealt"], out=tmp_path / "runs")
    # One of exactly that length fits.

    def length(answer):
        return len(encode(words, [Dialogue((Message("user", "a"), Message("assistant", answer)), (1,))])[0].ids)

    room = next(n for n in range(200) if length("x" + "q" * n) == 64)
    data.write_text(chat("a", "x" + "q" * room))
    assert len(train(tmp_path / "c.yaml", [f"data={data}", "name=fits"], out=tmp_path / "runs").metrics()) == 2


NO_END = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}" + (
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""A template that puts nothing behind an answer, so that an empty answer has no token."""


@pytest.mark.parametrize("layout", ["lines", "list"])
def test_a_record_with_nothing_to_learn_is_named(tmp_path, layout):
    base = tiny_models.save(tmp_path / "base", tiny_models.llama(), tiny_models.tokenizer(NO_END))
    config = {"stage": "sft", "model": str(base), "batch_size": 2, "lr": 1e-3, "steps": 1}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    data, lines = tmp_path / "d", [chat("hi", "you"), chat("hi", "", "again", "")]
    data.write_text("\n".join(lines) if layout == "lines" else f"[{', '.join(lines)}]")
    with pytest.raises(UsageError) as error:
        train(tmp_path / "c.yaml", [f"data={data}"], out=tmp_path / "runs")
    place = "record in line 2" if layout == "lines" else "record 2"
    assert str(error.value).startswith(f"{data}: {place} has nothing to learn")


def test_a_tokenizer_without_a_pad_token_trains(tmp_path):
    words = tiny_models.tokenizer()
    words.pad_token = None
    base = tiny_models.save(tmp_path / "base", tiny_models.llama(), words)
    config = {"stage": "sft", "model": str(base), "batch_size": 3, "lr": 1e-3, "steps": 1}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "d").write_text("\n".join([chat("hi", "you"), chat("a", "b c d e f"), chat("a", "b" * 20)]))
    (metrics,) = train(tmp_path / "c.yaml", [f"data={tmp_path / 'd'}"], out=tmp_path / "runs").metrics()
    assert metrics["loss"] > 0
