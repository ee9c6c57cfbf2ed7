"""What `docs/extending.md` says, carried out: its code is the third game, and nothing else in labkit knows of it."""

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path

import pytest

from labkit import envs
from labkit.cli import main
from labkit.envs import game, games, judge, prompt, replay, start
from labkit.envs.gym import DialogueEnv
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.evaluation import evaluate
from labkit.play import play
from labkit.players.registry import SIMPLE, load
from labkit.players.simple import Expert, Random
from labkit.runs import listing
from labkit.training.rl.credit import KINDS
from labkit.training.sft.data import read
from labkit.views.turns import episode_html
from tests.tiny_models import llama, tokenizer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
"""The page's commands. Each block is given in a shell that has gone through the first line of the first one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's files in a folder, its Python imported: for the tests of this module."""
    folder = tmp_path_factory.mktemp("extending")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    model = llama(max_position_embeddings=256)
    model.save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    rows, kinds, simple, modules = list(games._ROWS), dict(KINDS), dict(SIMPLE), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        import last_turn  # noqa: F401
        import parrot  # noqa: F401
        import sorting  # noqa: F401

        yield folder
    finally:
        sys.path.remove(str(folder))
        games._ROWS[:] = rows
        for table, before in ((KINDS, kinds), (SIMPLE, simple)):
            table.clear()
            table.update(before)
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] in ("sorting", "parrot", "last_turn"):
                del sys.modules[name]


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    """Commands run in the page's folder; runs of other tests are gone."""
    monkeypatch.chdir(folder)
    yield folder
    shutil.rmtree(folder / "runs", ignore_errors=True)


def labkit(capsys, *argv, status=0):
    assert main(list(argv)) == status
    return capsys.readouterr().out


def test_the_game_keeps_the_protocol():
    playing = game("sorting")
    assert [name for name in dir(envs.Game) if name[0] != "_" and name != "draw" and not hasattr(playing, name)] == []
    for suite in playing.suites:
        for index in range(20):
            task = next(playing.tasks(suite, "train", seed=3, first=index))
            opened, rng = start(task), random.Random(index)
            assert judge(opened, playing.expert(opened)).success
            wrong = judge(opened, playing.wrong(opened, rng))
            assert not wrong.attempts[0].verdict.success and not wrong.attempts[0].other_rule.success
            assert replay(Episode.from_json(wrong.to_json())) == wrong
            assert len(prompt(wrong)) == 3
    # 9 * 8 * 7 / 6 hands of three digits; each is dealt once, and its order is the deal's.
    tasks, weights = zip(*playing.enumerate_tasks("id"), strict=True)
    assert len({frozenset(t.deal["digits"]) for t in tasks}) == len(list(combinations(range(9), 3))) == 84
    assert sum(weights) == pytest.approx(1)


def test_its_verdicts():
    opened = start(game("sorting").task(digits="312", order="down"))
    for digits in permutations("123"):
        said = judge(opened, json.dumps({"sorted": " ".join(digits)})).attempts[0]
        assert said.verdict.success == (digits == ("3", "2", "1"))
        assert said.other_rule.success == (digits == ("1", "2", "3"))
    assert judge(opened, "3 2 1").attempts[0].tags == ("bad_json",)
    with pytest.raises(UsageError, match="no order"):
        game("sorting").task(digits="312", order="sideways")
    with pytest.raises(UsageError, match="template 'format': no placeholder {digits}; it may use none"):
        game("sorting").task(digits="312", prompts={"task": "{digits} {order}", "format": "{digits}"})


def test_play(capsys, monkeypatch):
    out = labkit(capsys, "play", "sorting", "--player", "expert", "--digits", "3 1 2", "--order", "down")
    assert "Digits: 3 1 2. Sort them downwards." in out and '{"sorted": "3 2 1"}' in out and "solved" in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1 2 3\n3 2 1\n")))
    labkit(capsys, "play", "sorting", "--digits", "312", "--order", "down")
    (episode,) = listing("runs")[0].episodes("play")
    assert episode.player == "person" and [a.verdict.success for a in episode.attempts] == [False, True]
    labkit(capsys, "play", "sorting", "--cards", "3 3 8 8", status=2)


def test_eval_of_every_deal(capsys):
    out = labkit(capsys, "eval", "sorting", "--player", "expert", "random", "--episodes", "all", "--attempts", "1")
    assert "every three digits once" in out and "first answer in the other order" in out
    data = json.loads(labkit(capsys, "eval", "sorting", "--player", "random", "--episodes", "all", "--json"))
    assert data["suites"]["id"]["every_hand"] and sum(s["n"] for s in data["suites"]["id"]["splits"].values()) == 84
    # A blind answer is one of six orders: right in a sixth, in the other order in another.
    once = evaluate(Random(), "sorting", "rule-ood", episodes=1200, attempts=1)
    assert once.value == pytest.approx(1 / 6, abs=0.05)
    assert once.details["kept_old_rule"].value == pytest.approx(1 / 6, abs=0.05)
    assert evaluate(Expert(), "sorting", "id", split="test", episodes=5).value == 1


def test_verify(capsys, monkeypatch):
    lines = [{"digits": "312", "order": o, "answer": '{"sorted": "3 2 1"}'} for o in ("up", "down", "sideways")]
    lines += [{"order": "up", "answer": "x"}, {"digits": "312", "answer": None}]
    data = "\n".join(map(json.dumps, lines)).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    out = [json.loads(line) for line in labkit(capsys, "verify", "sorting").splitlines()]
    assert [o.get("success") for o in out] == [False, True, None, None, None]
    assert "no order" in out[2]["error"] and "digits" in out[3]["error"] and "is text" in out[4]["error"]


def test_views():
    opened = start(game("sorting").task(digits="312"))
    episode = judge(opened, '{"sorted": "<b>3 2 1"}')
    shown = episode_html(judge(episode, '{"sorted": "3 2 1"}'))
    assert "order: up" in shown and "expected: 1, 2, 3" in shown and "the other order" in shown
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    # Without a view of its own, a game is shown by the default one.
    row = games.row_of("sorting")
    plain = replace(row, name="plain", cells={"plain": "Plain"}, view="labkit.views.default")
    games.register(plain)
    shown = episode_html(play(game("plain").task(digits="312"), Expert()))
    assert "Digits: 3 1 2. Sort them upwards." in shown and "solved" in shown


def test_export_and_fine_tuning(capsys):
    labkit(
        capsys, "export", "data", "sorting", "--episodes", "6", "--mistakes", "2", "--prompts", "4", "--out", "s.jsonl"
    )
    assert {len(d.messages) for d in read("s.jsonl")} <= {2, 4, 6} and len(read("s.jsonl")) == 6
    Path("sft.yaml").write_text(FILES["configs/experiments/sorting/sft.yaml"], encoding="utf-8")
    labkit(capsys, "train", "sft.yaml", "--set", "model=model")
    (run,) = listing("runs")
    metrics = run.metrics()
    assert run.status["status"] == "finished" and metrics[-1]["step"] == 2
    assert metrics[0]["eval/id/success"] == 0.0 and metrics[0]["eval/rule-ood/n"] == 4


def test_reinforcement_learning_with_the_page_s_credit(capsys):
    labkit(capsys, "train", "configs/experiments/sorting/rl.yaml", "--set", "model=model", "max_new_tokens=4")
    (run,) = listing("runs")
    assert run.metrics()[-1]["step"] == 1 and run.status["status"] == "finished"


def test_the_credit_is_the_last_reward():
    import torch

    from labkit.training.rl.credit import Credit

    class Rollout:
        """Two episodes, of two turns and of one."""

        mask_EK = torch.tensor([[True, True], [True, False]]).numpy()
        reward_EK = torch.tensor([[-1.0, 5.0], [2.0, 0.0]]).numpy()

    found, returns = KINDS["last-turn"].estimate(Rollout(), Credit(kind="last-turn", reward_scale=0.5), 1)
    assert found.tolist() == [2.5, 1.0] and returns is None


def test_the_player(capsys):
    out = labkit(capsys, "play", "gp-l", "--player", "parrot", "--cards", "3 3 8 8", "--attempts", "1")
    assert "unreadable" in out
    assert "repeats the first line" in labkit(capsys, "players")
    assert load("parrot").name == "parrot"


def test_the_figure(folder, capsys, monkeypatch):
    # Its runs are trained in processes of their own.
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
    monkeypatch.setenv("LABKIT_MODULES", "sorting")
    assert "sorting" in labkit(capsys, "figures")
    out = labkit(capsys, "figures", "sorting", "--run", "--stills", "none", "--json")
    entry = json.dumps(json.loads(out))
    assert "sorting" in entry
    assert "Sorting digits" in next(Path("runs/figures").glob("*.html")).read_text(encoding="utf-8")


def test_gymnasium():
    env = DialogueEnv("sorting", {"suite": "id", "split": "train", "order": None}, {"attempts": 1}, "ansi")
    first, _ = env.reset(seed=1)
    assert "Sort them upwards." in first and env.step("?")[1:3] == (-1.5, True)
    assert "Sort them downwards." in env.reset(options={"order": "down"})[0]


def shell(folder, commands, modules=""):
    """What a shell in the page's folder, where only labkit is on Python's path, makes of the commands."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LABKIT_MODULES": modules, "PYTHON": sys.executable}
    script = f'set -e\nlabkit() {{ "$PYTHON" -m labkit "$@"; }}\n{commands}'
    return subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("block", "printed"),
    [
        (0, ["solved", "every three digits once", '"success": true', "sorting.jsonl"]),
        (1, []),
        (2, ["parrot"]),
    ],
    ids=["game", "credit", "player"],
)
def test_the_page_s_commands_as_printed(folder, block, printed):
    assert len(BLOCKS) == 3
    first = BLOCKS[0].splitlines()[0]
    done = shell(folder, f"{first}\n{BLOCKS[block]}")
    assert done.returncode == 0, done.stderr
    assert [words for words in printed if words not in done.stdout + done.stderr] == []
    if block == 1:
        (run,) = listing("runs")
        assert run.status["status"] == "finished" and run.config["credit"]["kind"] == "last-turn"


def test_the_app_has_the_page_s_game_and_player(folder):
    code = (
        "from app.main import build; from app.shared.catalogue import catalogue_of; c = catalogue_of();"
        "tabs = [p['props']['id'] for p in build(c).config['components'] if p['type'] == 'tabitem'];"
        "print('sorting' in tabs, 'parrot' in c.names)"
    )
    for modules, known in (("sorting,parrot", "True True"), ("", "False False")):
        done = shell(folder, f'export PYTHONPATH=$PWD:$PYTHONPATH\n"$PYTHON" -c "{code}"', modules)
        assert done.stdout.strip() == known, done.stderr


def test_a_game_without_its_module_is_one_line_that_names_the_variable(folder):
    done = shell(folder, "labkit train configs/experiments/sorting/sft.yaml")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "no cell 'sorting'" in last and "LABKIT_MODULES" in last


def test_a_module_that_cannot_be_imported_is_one_line(folder):
    for command in ("play gp-l", "players", "eval gp-l --player expert"):
        done = shell(folder, f"labkit {command}", "nowhere")
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "LABKIT_MODULES names 'nowhere', which cannot be imported" in done.stderr
