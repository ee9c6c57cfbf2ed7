"""The page as gradio serves it: what is private, what is public, what goes through the model's queue."""

import ast
import re
import socket
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client

from app import main, serving
from app.shared.catalogue import Catalogue
from labkit.envs import games
from labkit.errors import UsageError
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert

PUBLIC = {"verify", "new_task", "list_players"}


@pytest.fixture(scope="module")
def served():
    info = PlayerInfo(spec="expert", kind="expert", summary="the solver", path=None, card=None)
    page = main.build(Catalogue([info], lambda spec, temperature: Expert()))
    _, url, _ = page.launch(prevent_thread_lock=True, **main.launch_options())
    yield page, url
    page.close()


@pytest.fixture(scope="module")
def client(served):
    return Client(served[1], verbose=False)


def test_only_three_functions_are_public(served):
    events = served[0].config["dependencies"]
    visibility = Counter(e["api_visibility"] for e in events)
    assert {e["api_name"] for e in events if e["api_visibility"] == "public"} == PUBLIC
    assert set(visibility) == {"public", "private"}


def test_players_have_one_queue_and_nothing_else_waits_in_it(served):
    functions = [f for f in served[0].fns.values() if all(event != "unload" for _, event in f.targets)]
    queued = [f for f in functions if f.queue]
    # In each game's tab three seats, by their own button, by the one for all and by a link; the tokens of three seats
    # and where they part; many deals and a duel, by their button and by a link; the checkpoints, by the slider as well.
    # Step on V-IRL, Judge in the Rule lab. In the story three seats, by the one for all. The tokens of an open episode
    # and of two branches; a fork, or those of a link.
    assert len(queued) == (9 + 4 + 2 + 3 + 2) * len(games.rows()) + 3 + 1 + 3 + 1 + 2 + 2
    assert {(f.concurrency_id, f.concurrency_limit, f.api_visibility) for f in queued} == {("play", 8, "private")}
    assert served[0]._queue.max_size is None, "the line of players has its own limit"


@pytest.mark.parametrize(("named", "first"), [({}, "story"), ({"expert": "mine"}, "gp")])
def test_the_story_is_the_first_tab_unless_a_player_was_named(named, first):
    info = PlayerInfo(spec="expert", kind="expert", summary="the solver", path=None, card=None)
    page = main.build(Catalogue([info], named=named))
    [opened] = [f.fn for f in page.fns.values() if f.outputs and f.outputs[0].get_block_name() == "tabs"]
    for query, tab in (({}, first), ({"tab": "virl"}, "virl"), ({"tab": "nonsense"}, first)):
        assert opened(SimpleNamespace(query_params=query))["selected"] == tab


def test_an_event_of_a_seat_touches_no_other_seat(served):
    page = served[0]
    players = [c["id"] for c in page.config["components"] if re.match(r"Player \d", str(c["props"].get("label", "")))]
    runs = [f for f in page.fns.values() if f.queue and f.concurrency_id == "play"]
    touched = Counter(len({block._id for block in run.outputs} & set(players)) for run in runs)
    # The Rule lab and the panels have no seat, and the story's have no list of players. A fork is played outside the
    # seats.
    assert touched == {1: 9 * len(games.rows()) + 3, 0: (4 + 2 + 3 + 2) * len(games.rows()) + 1 + 3 + 1 + 2 + 2}


def test_serving_is_local_and_silent():
    options = main.launch_options()
    assert options["share"] is False and options["run_history"] is False and options["allowed_paths"] == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "192.168.0.9", ""])
def test_a_foreign_host_is_refused(served, host):
    answer = httpx.get(f"{served[1]}config", headers={"Host": host})
    assert answer.status_code == 421 and "components" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:7860", "LOCALHOST"])
def test_loopback_is_answered(served, host):
    assert httpx.get(f"{served[1]}config", headers={"Host": host}).status_code == 200


def test_the_named_host_is_answered_besides_loopback():
    assert serving.hosts_of("lab.example") == ("localhost", "127.0.0.1", "::1", "lab.example")
    assert serving.host_name("[fe80::1]:7860") == "fe80::1"


def test_no_file_is_taken(served):
    files = {"files": ("a.txt", b"x" * 100)}
    assert httpx.post(f"{served[1]}gradio_api/upload", files=files).status_code == 403
    assert httpx.post(f"{served[1]}gradio_api/upload?upload_id=1", files=files).status_code == 403


def test_api_verifies(client):
    # 8 / (3 - 8/3) = 8 / (1/3) = 24.
    right = '{"cards": ["3","3","8","8"], "number": [3,3,8,8], "formula": "8/(3-8/3)=24"}'
    found = client.predict("3 3 8 8", right, "ten", 24, api_name="/verify")
    assert found["success"] and found["category"] == "correct" and found["reward"] == 5
    # For J = 10 under J = 11: not a dealt number, -2, and right under the other rule.
    kept = '{"cards": ["8","J","3","8"], "number": [8,10,3,8], "formula": "10+6+2*4=24"}'
    found = client.predict("K 6 2 4", kept, "eleven-twelve-thirteen", 24, api_name="/verify")
    assert (found["category"], found["reward"], found["success_under_other_rule"]) == (
        "wrong_numbers",
        -2,
        True,
    )
    assert "wrong_face_value" in found["tags"]


def test_api_deals_the_same_hand_for_the_same_seed(client):
    first = client.predict(5, "eleven-twelve-thirteen", 24, api_name="/new_task")
    assert first == client.predict(5, "eleven-twelve-thirteen", 24, api_name="/new_task")
    assert set(first["cards"].split()) & set("JQK") and first["cards"].replace(" ", ", ") in first["prompt"]


def test_api_lists_players_without_paths(client):
    assert client.predict(api_name="/list_players") == [{"name": "expert", "kind": "expert", "summary": "the solver"}]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("3 3", "x", "ten", 24), "a hand has 3 to 6 cards"),
        (("3 3 8 8", "x", "nine", 24), "no face rule 'nine'"),
        (("3 3 8 8", "x", "ten", 0), "the target must be a whole number from 1 to 999"),
        (("3 3 8 8", None, "ten", 24), "answer must be text, not None"),
        (("3 3 8 8", "x" * 20_001, "ten", 24), "answer has 20,001 characters; give at most 20,000"),
        ((None, "x", "ten", 24), "cards must be text, not None"),
    ],
)
def test_api_names_an_invalid_argument(client, arguments, said):
    with pytest.raises(Exception, match=said) as raised:
        client.predict(*arguments, api_name="/verify")
    assert "\n" not in str(raised.value).strip()


@pytest.mark.parametrize("seed", [-5, None, 1.5, 2**40, "x"])
def test_api_names_an_invalid_seed(client, seed):
    with pytest.raises(Exception, match="seed (must be|is empty; give) a whole number from 0 to 2147483647"):
        client.predict(seed, "ten", 24, api_name="/new_task")


def test_another_host_needs_a_password(monkeypatch):
    monkeypatch.delenv(serving.AUTH, raising=False)
    for host in ("0.0.0.0", "192.168.0.9", "lab.example"):
        with pytest.raises(UsageError, match="add --auth-file FILE, or set LABKIT_AUTH"):
            main.run(host=host)
    for said in ("me", "me:", ":secret", ""):
        with pytest.raises(UsageError, match="--auth has no user:password; write both"):
            main.run(auth=said)


def test_the_password_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(serving.AUTH, raising=False)
    file = tmp_path / "password.txt"
    file.write_text("me:a secret: with colon\nsecond line\n", encoding="utf-8")
    assert serving.credentials("0.0.0.0", None, str(file)) == ("me", "a secret: with colon")
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(UsageError, match="password.txt has no user:password; write both"):
        serving.credentials("0.0.0.0", None, str(file))
    with pytest.raises(UsageError, match="cannot read --auth-file .*; name a text file"):
        serving.credentials("0.0.0.0", None, str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="not both"):
        serving.credentials("0.0.0.0", "me:secret", str(file))
    monkeypatch.setenv(serving.AUTH, "you:other")
    assert serving.credentials("0.0.0.0", None, None) == ("you", "other")
    assert serving.credentials("0.0.0.0", "me:secret", None) == ("me", "secret")


def test_the_printed_address_can_be_typed(monkeypatch):
    assert serving.addresses("127.0.0.1", 7860) == ["http://127.0.0.1:7860"]
    assert serving.addresses("::1", 7860) == ["http://[::1]:7860"]
    monkeypatch.setattr(serving, "_local_addresses", lambda: ["192.0.2.7"])
    assert serving.addresses("0.0.0.0", 7861) == ["http://192.0.2.7:7861"]
    assert "192.0.2.7" in serving.hosts_of("0.0.0.0")
    monkeypatch.setattr(serving, "_local_addresses", list)
    assert serving.addresses("0.0.0.0", 7861) == ["http://127.0.0.1:7861"]


def test_a_taken_port_is_replaced_by_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serving.free_port("127.0.0.1", port) not in (port, 0)
    assert serving.free_port("127.0.0.1", port) == port


def test_the_app_holds_no_model_code():
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for path in Path(main.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert not any(module.split(".")[0] in ("torch", "transformers") for module in imported)


def test_the_app_uses_no_private_name_of_gradio():
    used = [
        f"{path.name}: {node.value.id}.{node.attr}"
        for path in Path(main.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.attr.startswith("_") and not node.attr.startswith("__") and node.value.id not in ("self", "cls")
    ]
    assert used == []
