"""Links: what is written comes back, and nothing else is believed."""

from urllib.parse import parse_qsl

import pytest

from app import link, virl_state
from app.state import CUSTOM, FieldError, Settings

PLAYERS = ("tiny:gp-l/sft", "expert")


def query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text.removeprefix("?")))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(player="tiny:gp-l/sft"),
        Settings(cards="10 3 8 J", rule="ten", target=21, seed=7, attempts=9, temperature=0.7, player="expert"),
        Settings(cards="3 3 8", rule=CUSTOM, jack=5, queen=6, king=7, player="expert"),
    ],
)
def test_a_link_brings_the_same_settings_back(settings):
    assert link.read(query(link.write(settings)), PLAYERS) == (settings, "gp", [])


def test_a_link_is_readable():
    settings = Settings(cards="3 3 8 8", rule="ten", player="expert")
    assert link.write(settings) == "?tab=gp&cards=3,3,8,8&rule=ten&target=24&seed=0&turns=5&T=0&a=expert"


@pytest.mark.parametrize(
    "key, value",
    [
        ("cards", "3,3,X"), ("cards", "3 3"), ("cards", "A" * 10_000), ("rule", "eleven"), ("rule", "J=5"),
        ("rule", "J=5,Q=5,K=100"), ("rule", "custom"), ("target", "0"), ("target", "1e3"), ("seed", "-1"),
        ("turns", "11"), ("turns", "0"), ("T", "nan"), ("T", "inf"), ("T", "-0.1"), ("a", "/etc/passwd"),
        ("a", ""),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_left_at_its_default(key, value):
    settings, _, refused = link.read({key: value, "seed": "3"} | {key: value}, PLAYERS)
    assert refused == [key]
    assert settings == Settings(player=PLAYERS[0], seed=0 if key == "seed" else 3)


def test_unknown_keys_and_tabs_do_nothing():
    assert link.read({"tab": "admin", "__theme": "dark", "evil": "1"}, PLAYERS) == (
        Settings(player=PLAYERS[0]),
        "gp",
        [],
    )
    assert link.read({"tab": "rules"}, ())[1] == "rules"


def test_a_link_to_what_cannot_be_dealt_is_not_made():
    with pytest.raises(FieldError, match="not a card"):
        link.write(Settings(cards="1 2 3"))


WALK = virl_state.Settings(player="expert")


@pytest.mark.parametrize(
    "settings",
    [
        WALK,
        virl_state.Settings(
            city="oldwick", route="oldwick-eval-0003", actions="relative", walk="free", cell="virl-vl",
            attempts=4, temperature=0.7, player="tiny:gp-l/sft",
        ),
    ],
)  # fmt: skip
def test_a_link_brings_the_same_walk_back(settings):
    asked = query(link.write_walk(settings))
    assert link.read_walk(asked, WALK, PLAYERS) == (settings, [])
    # The cards keep their own settings, and are told nothing that cannot be.
    assert link.read(asked, PLAYERS) == (Settings(player=PLAYERS[0]), "virl", [])


def test_a_link_to_a_walk_is_readable():
    assert link.write_walk(WALK) == (
        "?tab=virl&cell=virl-l&route=latticeport-eval-0000&rule=absolute&walk=rail&turns=2&T=0&a=expert"
    )


@pytest.mark.parametrize(
    "key, value",
    [
        ("route", "oldwick"), ("route", "oldwick-eval-0999"), ("route", "atlantis-eval-0000"), ("route", ""),
        ("rule", "ten"), ("walk", "fly"), ("cell", "gp-l"), ("turns", "0"), ("T", "nan"), ("a", "/etc/passwd"),
    ],
)  # fmt: skip
def test_a_walk_that_cannot_be_is_left_at_its_default(key, value):
    assert link.read_walk({"tab": "virl", key: value}, WALK, PLAYERS) == (WALK, [key])


def test_a_link_to_a_route_that_is_not_there_is_not_made():
    with pytest.raises(FieldError, match="choose one from the list"):
        link.write_walk(virl_state.Settings(route="<b>"))
