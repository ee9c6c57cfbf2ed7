"""inspect_ai evaluates models on cells in several turns, and shows stored episodes as its own logs."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode
from labkit.play import play_many
from labkit.players import registry
from tests.interop.conftest import ODD, RIGHT, WRONG

inspect_ai = pytest.importorskip("inspect_ai")

from inspect_ai.log import list_eval_logs, read_eval_log  # noqa: E402
from inspect_ai.model import ModelOutput, ModelUsage, get_model  # noqa: E402

from labkit.interop.inspect_task import EPISODE, dialogues  # noqa: E402


def evaluated(task, answers, tmp_path):
    outputs = [ModelOutput.from_content("mockllm/model", answer) for answer in answers]
    for output in outputs:
        # Without a count the model fetches a tokenizer.
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    model = get_model("mockllm/model", custom_outputs=outputs)
    (log,) = inspect_ai.eval(task, model=model, log_dir=str(tmp_path), display="none")
    assert log.status == "success", log.error
    return log


def value(log, name, metric):
    (score,) = [score for score in log.results.scores if score.name == name]
    return score.metrics[metric].value


def test_a_model_answers_until_it_is_right(tmp_path):
    deal = next(game("gp-l").tasks("rule-ood", "test", seed=3))
    right = game("gp-l").expert(start(deal))
    log = evaluated(dialogues(suite="rule-ood", seed=3, episodes=1), ["no idea", right], tmp_path)
    assert (value(log, "success", "accuracy"), value(log, "first_attempt", "accuracy")) == (1, 0)
    # -3 unreadable, then +5 (paper, appendix A.3).
    assert value(log, "reward", "mean") == 2
    (sample,) = log.samples
    assert sample.id == deal.id
    feedback = judge(start(deal), "no idea").attempts[0].verdict.feedback
    assert [m.text for m in sample.messages] == [start(deal).position.prompt, "no idea", feedback, right]
    assert Episode.from_json(sample.store[EPISODE]).status == "success"


def test_attempts_end(tmp_path):
    log = evaluated(dialogues(episodes=2, attempts=2), ["?"] * 4, tmp_path)
    # Twice -3, and -1 more for the last attempt.
    assert (value(log, "success", "accuracy"), value(log, "reward", "mean")) == (0, -7)


def test_every_position_of_a_route_is_asked(tmp_path):
    episode, answers = start(next(game("virl-l").tasks("id", "test", seed=0))), []
    while not episode.done:
        answers.append(game("virl-l").expert(episode))
        episode = judge(episode, answers[-1])
    log = evaluated(dialogues(cell="virl-l", episodes=1), answers, tmp_path)
    # +1 for each right action (paper, appendix B).
    assert (value(log, "success", "accuracy"), value(log, "reward", "mean")) == (1, len(answers))
    (sample,) = log.samples
    assert [m.role for m in sample.messages] == ["user", "assistant"]
    assert len([event for event in sample.events if event.event == "model"]) == len(answers) > 3


def test_pictures_are_sent(tmp_path):
    log = evaluated(dialogues(cell="gp-vl", episodes=1, attempts=1), ["?"], tmp_path)
    picture, text = log.samples[0].input[0].content
    assert picture.type == "image" and text.text == start(next(game("gp-vl").tasks("id", "test"))).position.prompt


def test_stored_episodes_become_a_log(export, run, tmp_path):
    said = export("inspect", "eval-gp-l", "--out", tmp_path / "logs")
    assert said["files"] == [str(tmp_path / "logs/eval-gp-l-id.eval")]
    (info,) = list_eval_logs(str(tmp_path / "logs"))
    log = read_eval_log(info, resolve_attachments=True)
    assert (log.status, log.eval.model, log.eval.task) == ("success", "somebody", "labkit/gp-l/id")
    # One of two is solved; the rewards are -1 - 3 + 5 and -1 - 1 - 1.
    assert (value(log, "success", "accuracy"), value(log, "success", "stderr")) == (0.5, 0.5)
    assert value(log, "reward", "mean") == -1
    solved, lost = log.samples
    odd = ODD.replace("\udc80", "\\udc80")
    assert [m.text for m in solved.messages if m.role == "assistant"] == [WRONG, odd, RIGHT]
    assert [m.role for m in solved.messages] == ["user", "assistant"] * 3 + ["user"]
    calls = [event for event in solved.events if event.event == "model"]
    assert [len(call.input) for call in calls] == [1, 3, 5]
    assert [Episode.from_json(s.store[EPISODE]) for s in log.samples] == list(run.episodes("id"))
    assert lost.scores["verdict"].metadata["status"] == "exhausted"


def test_the_viewer_takes_the_log(export, tmp_path):
    export("inspect", "eval-gp-l", "--out", tmp_path / "logs")
    command = [Path(sys.executable).with_name("inspect"), "view", "bundle"]
    subprocess.run([*command, "--log-dir", tmp_path / "logs", "--output-dir", tmp_path / "www"], check=True)
    listed = json.loads((tmp_path / "www/logs/listing.json").read_text())
    assert [header["task"] for header in listed.values()] == ["labkit/gp-l/id"]


@pytest.mark.slow(reason="transformers' generate plays the episodes")
def test_its_command_plays_a_checkpoint_as_labkit_does(tmp_path):
    path = str(registry.info("tiny:gp-l/rl").path)
    command = [Path(sys.executable).with_name("inspect"), "eval", "labkit/dialogues", "--model", "hf/local"]
    model = ["-M", f"model_path={path}", "-M", "device=cpu", "--temperature", "1", "--top-k", "1"]
    deals = ["-T", "episodes=4", "-T", "suite=rule-ood", "-T", "attempts=3"]
    where = ["--max-tokens", "200", "--log-dir", tmp_path, "--display", "plain"]
    subprocess.run([*command, *deals, *model, *where], check=True)
    (info,) = list_eval_logs(str(tmp_path))
    log = read_eval_log(info)
    # The likeliest token each time, in both.
    player = registry.load(path, device="cpu", temperature=0.0)
    tasks = islice(game("gp-l").tasks("rule-ood", "test", seed=0, attempts=3), 4)
    episodes = [played.episode for played in play_many(tasks, player)]
    ours = {episode.task.id: [a.answer for a in episode.attempts] for episode in episodes}
    theirs = [Episode.from_json(sample.store[EPISODE]) for sample in log.samples]
    assert {episode.task.id: [a.answer for a in episode.attempts] for episode in theirs} == ours
    assert value(log, "success", "accuracy") == sum(episode.success for episode in episodes) / 4
