"""The page as gradio serves it: what is private, what is public, what goes through the model's queue."""

import ast
import socket
from collections import Counter
from pathlib import Path

import pytest
from gradio_client import Client

from app import main
from labkit.errors import UsageError

PUBLIC = {"verify", "new_task", "list_players"}


@pytest.fixture(scope="module")
def served():
    from app.players import Catalogue
    from labkit.players.registry import PlayerInfo
    from labkit.players.simple import Expert

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


def test_models_have_one_queue_and_nothing_else_waits_in_it(served):
    functions = [f for f in served[0].fns.values() if all(event != "unload" for _, event in f.targets)]
    queued = [f for f in functions if f.queue]
    assert [(f.concurrency_id, f.concurrency_limit) for f in queued] == [
        ("model", 1),  # GeneralPoints
        ("walk", 8), ("walk", 8),  # Play and Step of V-IRL
    ]  # fmt: skip
    assert {f.api_visibility for f in queued} == {"private"}


def test_serving_is_local_and_silent():
    options = main.launch_options()
    assert options["share"] is False and options["run_history"] is False and options["allowed_paths"] == []


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
    assert client.predict(api_name="/list_players") == [{"spec": "expert", "kind": "expert", "summary": "the solver"}]


@pytest.mark.parametrize(
    "arguments", [("3 3", "x", "ten", 24), ("3 3 8 8", "x", "nine", 24), ("3 3 8 8", "x", "ten", 0)]
)
def test_api_names_what_cannot_be(client, arguments):
    with pytest.raises(Exception, match="a hand has|no face rule|the target is"):
        client.predict(*arguments, api_name="/verify")


def test_another_host_needs_auth():
    for host in ("0.0.0.0", "192.168.0.9", "lab.example"):
        with pytest.raises(UsageError, match="add --auth"):
            main.run(host=host)
    with pytest.raises(UsageError, match="user:password"):
        main.run(auth="me")


def test_a_taken_port_is_replaced_by_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main._free_port("127.0.0.1", port) not in (port, 0)
    assert main._free_port("127.0.0.1", port) == port


def test_the_app_holds_no_model_code():
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for path in Path(main.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert not any(module.split(".")[0] in ("torch", "transformers") for module in imported)
