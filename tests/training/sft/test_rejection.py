"""Fine-tuning on a policy's own right answers."""

from itertools import islice

import pytest
import yaml

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.players.registry import info, load_bundle
from labkit.training import train
from labkit.training.sft.rejection import right_answers
from tests import tiny_models

EPISODES = 24


@pytest.fixture(scope="module")
def sampled():
    return right_answers(
        load_bundle("tiny:gp-l/init", device="cpu"),
        "gp-l",
        EPISODES,
        suite="id",
        split="train",
        seed=5,
        max_new_tokens=256,
        picture={},
    )


def test_every_dialogue_ends_in_its_only_right_answer(sampled):
    tasks = {start(t).position.prompt: t for t in islice(game("gp-l").tasks("id", "train", seed=5), EPISODES)}
    assert 3 < len(sampled.dialogues) < EPISODES
    revised = 0
    for messages, trained, _ in sampled.dialogues:
        episode = start(tasks[messages[0].text])
        for message, reply in zip(messages[1:-1:2], messages[2:-1:2], strict=True):
            episode = judge(episode, message.text)
            assert episode.attempts[-1].verdict.feedback == reply.text
            revised += 1
        assert not episode.done
        assert judge(episode, messages[-1].text).success
        assert trained == (len(messages) - 1,)
    assert revised > 0


def test_all_that_was_played_is_counted(tmp_path, sampled):
    path = tmp_path / "own.yaml"
    settings = {"stage": "sft", "model": "tiny:gp-l/init", "steps": 2, "batch_size": 4, "lr": 1e-4, "seed": 5}
    path.write_text(yaml.safe_dump({**settings, "samples": EPISODES, "max_new_tokens": 256, "checkpoints": [1]}))
    run = train(path, out=tmp_path / "runs")
    first, last = run.metrics()
    parameters = info("tiny:gp-l/init").card["parameters"]
    trained = [6 * parameters * m["trained_tokens"] for m in (first, last)]
    read = 2 * parameters * sum(sampled.lengths)
    assert first["flops"] == pytest.approx(trained[0] + read)
    assert last["flops"] == pytest.approx(trained[1] + read)
    # One dialogue for each deal: GeneralPoints asks a single position.
    assert len(sampled.lengths) == EPISODES


def test_a_policy_without_a_right_answer_is_refused(tmp_path):
    base = tiny_models.save(tmp_path / "base", tiny_models.llama(), tiny_models.tokenizer())
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"stage": "sft", "model": str(base), "steps": 1, "lr": 1e-4, "samples": 2}))
    with pytest.raises(UsageError, match="no answer to 2 deals was right"):
        train(path, ["max_new_tokens=4"], out=tmp_path / "runs")
    with pytest.raises(UsageError, match="not to samples"):
        train(path, ["mistakes=2"], out=tmp_path / "runs")
