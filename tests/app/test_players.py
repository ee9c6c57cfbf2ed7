"""Which players the app offers, and in which order."""

import json
import threading
import time

import pytest

from app.players import Catalogue, catalogue_of
from labkit.errors import UsageError
from labkit.players import registry
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert


def test_named_players_come_first_and_those_that_are_not_models_last(tmp_path):
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps("8*3"), encoding="utf-8")
    specs = catalogue_of([f"script:{script}", "random"]).specs
    assert specs[:2] == (f"script:{script}", "random") and specs[-1] == "expert"
    assert len(set(specs)) == len(specs)


def test_models_come_before_the_others(monkeypatch):
    listed = [
        PlayerInfo("expert", "expert", ""),
        PlayerInfo("tiny:a", "tiny", ""),
        PlayerInfo("run:b@3", "run", ""),
    ]
    monkeypatch.setattr(registry, "players", lambda: listed)
    assert catalogue_of().specs == ("tiny:a", "run:b@3", "expert")


def test_a_player_that_does_not_exist_is_named_at_the_start():
    with pytest.raises(UsageError, match="expert"):
        catalogue_of(["expret"])


def test_a_script_is_read_anew_for_each_episode(tmp_path):
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps("8*3"), encoding="utf-8")
    catalogue = catalogue_of([f"script:{script}"])
    for _ in range(2):
        player = catalogue.player(f"script:{script}", 0.0, lambda: False)
        assert player.answer([None])[0].text == "8*3"


def test_the_first_model_is_loaded_before_it_is_asked_for():
    loaded = []

    def load(spec, **options):
        loaded.append(spec)
        if spec == "torn":
            raise UsageError("torn")
        return Expert()

    def catalogue(spec, kind):
        return Catalogue([PlayerInfo(spec, kind, "")], load)

    for spec, kind in (("whole", "tiny"), ("torn", "checkpoint"), ("expert", "expert")):
        catalogue(spec, kind).warm_up()
    assert loaded == ["whole", "torn"]


def test_who_walks_at_the_start():
    def walker(*specs, named=0):
        return Catalogue([PlayerInfo(spec, "tiny", "") for spec in specs], named=named).walker()

    assert walker("tiny:gp-l/init", "expert") == "expert", "a model that learned cards does not walk"
    assert walker("tiny:gp-l/init", "expert", "tiny:virl-l/init") == "tiny:virl-l/init"
    assert walker("run:mine@3", "tiny:virl-l/init", "expert", named=1) == "run:mine@3"
    assert walker() is None


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
