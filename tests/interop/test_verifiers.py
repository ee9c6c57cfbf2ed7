"""The package verifiers evaluates a model on cells with its own command, against a server that this test starts."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError

pytest.importorskip("verifiers")

from verifiers.v1.utils.loaders import environment_class, harness_class, taskset_class

ROOT = Path(__file__).parents[2]
ID = "labkit-verifiers"


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server that answers by the last prompt of a dialogue."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": self.server.answer(body["messages"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        reply = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
        data = json.dumps({**reply, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass


def evaluated(answer, tmp_path, *options):
    """The episodes of a run of its command."""
    server = Server(answer)
    try:
        command = [Path(sys.executable).with_name("vf-eval"), ID, "--model", "some/model", "--no-push", "--no-rich"]
        where = ["--client.base-url", f"http://127.0.0.1:{server.server_port}/v1", "--output-dir", tmp_path]
        done = subprocess.run(
            [*command, *where, "--run.name", "run", *options], cwd=ROOT, capture_output=True, text=True
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr[-2000:]
    (traces,) = tmp_path.rglob("traces.jsonl")
    return [json.loads(line) for line in traces.read_text().splitlines()]


def test_the_package_finds_all_three_parts():
    parts = environment_class(ID), taskset_class(ID), harness_class(ID)
    assert [part.__name__ for part in parts] == ["DialoguesEnv", "Dialogues", "Chat"]


def test_its_evaluation_plays_until_the_answer_is_right(tmp_path):
    deals = {}
    for _, task in zip(range(3), game("gp-l").tasks("rule-ood", "test", seed=5), strict=False):
        episode = start(task)
        deals[episode.position.prompt] = game("gp-l").expert(episode)

    def answer(chat):
        # First nonsense; then, told so, the right answer.
        return "no idea" if len(chat) == 1 else deals[chat[0]["content"]]

    options = ["--env.taskset.suite", "rule-ood", "--env.taskset.seed", "5", "-n", "3"]
    found = evaluated(answer, tmp_path, *options)
    assert {episode["task"]["data"]["prompt"] for episode in found} == set(deals)
    for episode in found:
        (trace,) = episode["traces"]
        # -3 unreadable, then +5 (paper, appendix A.3).
        assert trace["rewards"]["reward"]["score"] == 2
        assert trace["metrics"] == {"success": 1, "attempts": 2}
        assert trace["info"]["categories"] == ["unreadable", "correct"]
        said = [node["message"]["role"] for node in trace["nodes"]]
        assert said == ["user", "assistant"] * 2


def test_each_position_of_a_route_is_an_interaction(tmp_path):
    episode, right = start(next(game("virl-l").tasks("id", "test", seed=0))), {}
    while not episode.done:
        right[episode.position.prompt] = game("virl-l").expert(episode)
        episode = judge(episode, right[episode.position.prompt])
    (found,) = evaluated(lambda chat: right[chat[0]["content"]], tmp_path, "--env.taskset.cell", "virl-l", "-n", "1")
    assert [trace["rewards"]["reward"]["score"] for trace in found["traces"]] == [1] * len(episode.positions)
    assert found["traces"][-1]["info"]["status"] == "success"


def test_a_picture_cell_is_refused():
    from labkit.interop.verifiers_env import DialogueConfig, Dialogues

    with pytest.raises(UsageError, match="use gp-l, virl-l"):
        next(iter(Dialogues(DialogueConfig(id=ID, cell="gp-vl")).load()))
