"""Which players the app offers, and in which order."""

import json
import threading
import time

import pytest

from app.shared.catalogue import Catalogue, catalogue_of, public
from app.shared.html import badge
from labkit.errors import UsageError
from labkit.players import registry
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert


def test_named_players_come_first_and_those_that_are_not_models_last(tmp_path):
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps("8*3"), encoding="utf-8")
    names = catalogue_of([f"script:{script}", "random"]).names
    assert names[:2] == ("script:answers.jsonl", "random") and names[-2:] == ("expert", "words")
    assert len(set(names)) == len(names)


def test_models_come_before_the_others(monkeypatch):
    listed = [
        PlayerInfo("expert", "expert", ""),
        PlayerInfo("tiny:a", "tiny", ""),
        PlayerInfo("run:b@3", "run", ""),
    ]
    monkeypatch.setattr(registry, "players", lambda: listed)
    assert catalogue_of().names == ("tiny:a", "run:b@3", "expert")


def test_a_player_of_ones_own_is_called_so_and_stands_with_those_that_are_no_models(monkeypatch):
    """Whether it asks a model somewhere, only its summary can tell; it is no checkpoint that the app has to load."""
    monkeypatch.setitem(registry.SIMPLE, "parrot", (Expert, "repeats the first line"))
    infos = [registry.info("parrot"), registry.info("random"), PlayerInfo("tiny:a", "tiny", "a model")]
    catalogue = Catalogue(infos)
    badges = [badge(catalogue.infos[name]) for name in ("parrot", "random", "tiny:a")]
    assert "a player of your own" in badges[0] and "repeats the first line" in badges[0]
    assert "not a model" in badges[1] and "bundled model" in badges[2]
    assert not Catalogue(infos[:2]).has_model and catalogue.has_model
    monkeypatch.setattr(registry, "players", lambda: infos)
    assert catalogue_of().names == ("tiny:a", "parrot", "random")


def test_a_player_that_does_not_exist_is_named_at_the_start():
    with pytest.raises(UsageError, match="expert"):
        catalogue_of(["expret"])


def test_a_script_is_read_anew_for_each_episode(tmp_path):
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps("8*3"), encoding="utf-8")
    catalogue = catalogue_of([f"script:{script}"])
    for _ in range(2):
        player = catalogue.player("script:answers.jsonl", 0.0, lambda: False)
        assert player.answer([None])[0].text == "8*3"


def test_a_player_goes_by_the_name_it_is_given(tmp_path):
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps("8*3"), encoding="utf-8")
    catalogue = catalogue_of([f"mine=script:{script}", "solver=expert"])
    assert catalogue.names[:2] == ("mine", "solver") and "expert" not in catalogue.names
    assert catalogue.player("mine", 0.0, lambda: False).name == "mine"


@pytest.mark.parametrize(
    "named, said", [(["a=expert", "a=random"], "two players are called 'a'"), (["a,b=expert"], "has a comma")]
)
def test_a_name_that_a_link_cannot_hold_is_refused(named, said):
    with pytest.raises(UsageError, match=said):
        catalogue_of(named)


def checkpoint(folder):
    """A folder that looks like a checkpoint and cannot be loaded."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"torn")
    return folder


def test_visitors_see_no_path_of_the_server(tmp_path):
    folder = checkpoint(tmp_path / "mine" / "checkpoints" / "step-400")
    catalogue = catalogue_of([str(folder)])
    assert catalogue.names[0] == "mine/step-400"
    shown = [*catalogue.names, *(info.summary for info in catalogue.infos.values())]
    with pytest.raises(UsageError) as failed:
        catalogue.player("mine/step-400", 0.0, lambda: False)
    shown.append(str(failed.value))
    assert not any("/mine/" in text or "checkpoints" in text for text in shown)
    assert "cannot load mine/step-400" in shown[-1]
    assert catalogue_of([str(checkpoint(tmp_path / "torn"))]).names[0] == "torn"


@pytest.mark.parametrize(
    "message, shown",
    [
        ("no config.json in /srv/models/a-b.c/step-1", "no config.json in step-1"),
        ("'/home/me/x.bin' is torn; see /home/me/y", "'x.bin' is torn; see y"),
        ("8/(3-8/3) and tiny:gp-l/sft and and/or 1/2", "8/(3-8/3) and tiny:gp-l/sft and and/or 1/2"),
    ],
)
def test_a_message_keeps_only_the_last_part_of_a_path(message, shown):
    assert public(message) == shown


def test_the_console_names_a_player_that_cannot_be_loaded(tmp_path, caplog):
    folder = checkpoint(tmp_path / "torn")
    catalogue = catalogue_of([str(folder), "expert"])
    catalogue.try_named()
    [said] = caplog.messages
    assert said.startswith(f"Player {catalogue.names[0]} cannot be loaded: ") and "\n" not in said


def test_the_first_model_is_loaded_before_it_is_asked_for():
    loaded = []

    def load(spec, **options):
        loaded.append(spec)
        return Expert()

    for spec, kind in (("whole", "tiny"), ("expert", "expert")):
        Catalogue([PlayerInfo(spec, kind, "")], load).warm_up("gp-l")
    assert loaded == ["whole"]


def test_who_sits_where_when_a_window_opens():
    def seated(*specs, named=()):
        infos = [PlayerInfo(spec, "expert" if spec == "expert" else "tiny", "") for spec in specs]
        return Catalogue(infos, named={name: name for name in named}).seated("virl-l", 3)

    stages = ("tiny:virl-l/rl", "tiny:virl-l/init", "tiny:virl-l/sft")
    assert seated("tiny:gp-l/init", *stages) == ["tiny:virl-l/init", "tiny:virl-l/sft", "tiny:virl-l/rl"]
    assert seated(*stages, "mine", named=["mine"])[:2] == ["mine", "tiny:virl-l/init"]
    assert seated("tiny:gp-l/init", "expert")[0] == "expert", "a model that learned cards does not walk"
    assert seated("expert") == ["expert"] * 3
    assert seated() == [None] * 3


def test_models_answer_one_at_a_time():
    busy, seen = [], []

    class Model:
        name = "model"

        def answer(self, turns):
            busy.append(1)
            seen.append(len(busy))
            time.sleep(0.02)
            busy.pop()
            return []

    catalogue = Catalogue([PlayerInfo("m", "tiny", "")], lambda spec, temperature: Model())
    players = [catalogue.player("m", 0.0, lambda: False) for _ in range(4)]
    threads = [threading.Thread(target=p.answer, args=([],)) for p in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1, 1]
