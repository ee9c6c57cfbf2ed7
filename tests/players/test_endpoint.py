"""A player behind a server, against servers that fail in every way that servers do."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from labkit import cli
from labkit.envs import game, start
from labkit.errors import UsageError
from labkit.play import play, play_many
from labkit.players import endpoint, registry
from labkit.players.base import Request
from labkit.players.simple import Expert
from labkit.runs import listing


class Server(ThreadingHTTPServer):
    """Answers like the expert; ``faults`` are what its next replies are instead."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.faults = []
        self.every = None
        self.seen = []
        self.at_once = self.most = 0
        self.usage = {"prompt_tokens": 100, "completion_tokens": 20}
        self.answers = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def learn(self, task):
        """What the expert would say to a task's first prompt."""
        episode = start(task, "x")
        self.answers[episode.position.prompt] = Expert().answer([Request(episode)])[0].text
        return task


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.at_once += 1
            server.most = max(server.most, server.at_once)
            server.seen.append((self.path, body, self.headers.get("Authorization")))
            fault = server.faults.pop(0) if server.faults else None
            if fault is None and server.every and len(server.seen) % server.every[0] == 0:
                fault = server.every[1]
        try:
            self.reply(body, fault)
        finally:
            with server.lock:
                server.at_once -= 1

    def reply(self, body, fault):
        first = body["messages"][0]["content"]
        content = self.server.answers.get(first if isinstance(first, str) else first[-1]["text"], "nothing")
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        if fault == "length":
            choice = {"message": {"content": content[:5]}, "finish_reason": "length"}
        data = json.dumps({"choices": [choice], "usage": self.server.usage}).encode()
        if fault == "stall":
            time.sleep(1.5)
            return
        if fault == "hang up":
            self.close_connection = True
            return
        status, headers = 200, {}
        if fault == "limit":
            status, headers, data = 429, {"Retry-After": "7"}, b'{"error": {"message": "too many requests"}}'
        elif fault == "html":
            status, data = 502, b"<html>Bad Gateway</html>"
        elif fault == "error":
            data = b'{"error": {"message": "the engine died"}}'
        elif isinstance(fault, int):
            status, data = fault, b'{"error": {"message": "no such model"}}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def player(server):
    waited = []
    made = endpoint.Endpoint(server.url, "m", name="served", timeout=0.5, sleep=waited.append)
    made.waited = waited
    return made


def tasks(server, count, cell="gp-l"):
    stream = game(cell).tasks("id", seed=4)
    return [server.learn(next(stream)) for _ in range(count)]


def test_it_sends_the_dialogue_and_the_settings(server, player, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "secret")
    (task,) = tasks(server, 1)
    server.answers.clear()
    episode = play(task, player)
    assert episode.status == "exhausted" and len(server.seen) == len(episode.attempts) == 5
    path, body, key = server.seen[-1]
    assert path == "/v1/chat/completions" and key == "Bearer secret"
    assert body["model"] == "m" and body["temperature"] == 0 and body["max_tokens"] == endpoint.MAX_NEW_TOKENS
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant"] * 4 + ["user"]
    assert body["messages"][1]["content"] == "nothing"
    assert body["messages"][2]["content"] == episode.attempts[0].verdict.feedback
    # Each attempt has a seed of its own, and a second run the same ones.
    seeds = [body["seed"] for _, body, _ in server.seen]
    play(task, player)
    assert len(set(seeds)) == 5 and [body["seed"] for _, body, _ in server.seen[5:]] == seeds


@pytest.mark.parametrize("fault", ["stall", "hang up", "limit", "html", "error", "cut", 500])
def test_a_fault_that_passes_costs_a_retry_and_no_answer(server, player, fault):
    (task,) = tasks(server, 1)
    server.faults = [fault, fault]
    assert play(task, player).success
    assert player.retries == 2 and player.requests == 1
    if fault == "limit":
        assert player.waited == [7.0, 7.0]
    else:
        assert 0.75 <= player.waited[0] <= 1.25 and 1.5 <= player.waited[1] <= 2.5


def test_every_deal_is_accounted_for_whatever_the_server_does(server, player):
    """Every third reply fails: of 40 deals each is answered once, none is dropped or judged for another."""
    dealt = tasks(server, 40)
    for fault in ("limit", "cut", "hang up", "html"):
        server.every = (3, fault)
        played = sorted(play_many(dealt, player, batch=16), key=lambda p: p.index)
        assert [p.index for p in played] == list(range(40))
        assert [p.episode.task for p in played] == dealt and all(p.episode.success for p in played)
        assert all(len(p.episode.attempts) == 1 for p in played)
    assert player.requests == 160 and player.retries >= 4 * 13
    assert 1 < server.most <= endpoint.PARALLEL


def test_an_answer_that_met_the_token_limit_is_marked(server, player):
    (task,) = tasks(server, 1)
    server.faults = ["length"]
    first, second = play(task, player).attempts
    assert first.sample.truncated and first.verdict.category == "unreadable"
    assert not second.sample.truncated and second.verdict.success


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20}, True),
        (None, False),
        ({}, False),
        ({"prompt_tokens": -5, "completion_tokens": 3}, False),
        ({"prompt_tokens": "many", "completion_tokens": 3}, False),
        ({"prompt_tokens": 100, "completion_tokens": 10**9}, False),
    ],
)
def test_token_counts_are_the_servers_unless_they_are_impossible(server, player, usage, counted):
    (task,) = tasks(server, 1)
    server.usage = usage
    sample = play(task, player).attempts[0].sample
    assert (sample.prompt_tokens, sample.tokens) == ((100, 20) if counted else (0, 0)) and sample.logp is None
    assert (player.prompt_tokens, player.sampled_tokens) == ((100, 20) if counted else (0, 0))
    assert ("no possible token count" in " ".join(player.notes)) is not counted


def test_what_does_not_pass_is_an_error_that_says_what_to_do(server, player, monkeypatch):
    (task,) = tasks(server, 1)
    server.faults = [404]
    with pytest.raises(UsageError, match="refuses with 404: no such model$"):
        play(task, player)
    server.faults = [401]
    with pytest.raises(UsageError, match="LABKIT_API_KEY"):
        play(task, player)
    server.every = (1, "html")
    with pytest.raises(UsageError, match="no answer in 7 tries: 502 <html>Bad Gateway"):
        play(task, player)
    assert sum(player.waited) < 200
    nobody = endpoint.Endpoint("http://127.0.0.1:9/v1", "m", name="n", sleep=lambda _: None)
    with pytest.raises(UsageError, match="no answer in 7 tries: .*refused"):
        play(task, nobody)


def test_pictures_are_sent_as_png(server, player):
    (task,) = tasks(server, 1, "gp-vl")
    assert play(task, player).success
    picture, text = server.seen[0][1]["messages"][0]["content"]
    assert text["type"] == "text" and picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_it_is_named_by_its_address(server, capsys, tmp_path, monkeypatch):
    spec = f"{server.url}#org/model-7b"
    made = registry.load(spec, temperature=0.5, max_new_tokens=64)
    assert (made.url, made.model, made.name) == (server.url, "org/model-7b", spec)
    assert registry.load(f"Seven={spec}").name == "Seven"
    assert registry.info(spec).kind == "endpoint"
    with pytest.raises(UsageError, match="not a model; name a checkpoint"):
        registry.resolve_checkpoint(spec)
    for wrong, why in [(server.url, "#MODEL"), ("http://#m", "#MODEL"), ("http://me:secret@h/v1#m", endpoint.KEY)]:
        with pytest.raises(UsageError, match=why):
            registry.load(wrong)


def test_an_evaluation_on_the_command_line_says_tokens_and_retries(server, tmp_path, capsys):
    stream = game("gp-l").tasks("id", "dev", seed=0)
    for _ in range(6):
        server.learn(next(stream))
    server.faults = ["cut"]
    words = ["eval", "gp-l", "--player", f"{server.url}#m", "--suite", "id", "--split", "dev", "--episodes", "6"]
    assert cli.main([*words, "--json", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["suites"]["id"]["n"] == 6
    assert "retries: 1" in err and "tokens read" in err
    (run,) = listing(tmp_path)
    stored = Counter(e.task.deal.__repr__() for name in run.episode_names() for e in run.episodes(name))
    assert sum(stored.values()) == 6
