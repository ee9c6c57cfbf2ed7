"""Links: what is written comes back, and nothing else is believed."""

from urllib.parse import parse_qsl

import pytest

from app import link
from app.general_points.settings import CUSTOM, GeneralPointsSettings
from app.shared.settings import FieldError
from app.virl.settings import VIRLSettings

FIRST = GeneralPointsSettings()
WALK = VIRLSettings()


def query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text.removeprefix("?")))


@pytest.mark.parametrize(
    "settings",
    [
        FIRST,
        GeneralPointsSettings(cards="10 3 8 J", rule="ten", target=21, seed=7, attempts=9, temperature=0.7),
        GeneralPointsSettings(cards="3 3 8", rule=CUSTOM, jack=5, queen=6, king=7),
        WALK,
        VIRLSettings(
            city="oldwick", route="oldwick-eval-0003", actions="relative", walk="free", cell="virl-vl",
            attempts=4, temperature=0.7, pace="slow",
        ),
    ],
)  # fmt: skip
def test_a_link_brings_the_same_settings_back(settings):
    assert link.read(query(link.write("x", settings, [])), type(settings)()) == (settings, [])


def test_a_link_is_readable():
    settings = GeneralPointsSettings(cards="3 3 8 8", rule="ten", temperature=0.5)
    written = link.write("gp", settings, ["tiny:gp-l/sft", "expert"])
    assert written == "?tab=gp&temperature=0.5&cards=3+3+8+8&rule=ten&players=tiny:gp-l/sft,expert"
    walk = VIRLSettings(route="latticeport-eval-0003", actions="relative")
    written = link.write("virl", walk, ["expert"])
    assert written == "?tab=virl&city=latticeport&route=latticeport-eval-0003&actions=relative&players=expert"


@pytest.mark.parametrize(
    "key, value",
    [
        ("cards", "3,3,X"), ("cards", "3 3"), ("cards", "A" * 10_000), ("rule", "eleven"), ("rule", "J=5"),
        ("target", "0"), ("target", "1e3"), ("seed", "-1"), ("attempts", "11"), ("attempts", "0"),
        ("temperature", "nan"), ("temperature", "inf"), ("temperature", "-0.1"),
    ],
)  # fmt: skip
def test_an_invalid_value_leaves_the_default(key, value):
    settings, refused = link.read({"target": "7", key: value}, FIRST)
    assert refused == [key]
    assert settings == GeneralPointsSettings(target=24 if key == "target" else 7)


def test_a_number_of_a_rule_is_checked_where_the_rule_is_ones_own():
    settings, refused = link.read({"rule": "custom", "king": "100"}, FIRST)
    assert refused == ["king"] and settings.king == 13


@pytest.mark.parametrize(
    "key, value",
    [
        ("route", "oldwick"), ("route", "oldwick-eval-0999"), ("route", "atlantis-eval-0000"), ("route", ""),
        ("actions", "ten"), ("walk", "fly"), ("cell", "gp-l"), ("attempts", "0"), ("temperature", "nan"),
    ],
)  # fmt: skip
def test_an_invalid_value_of_a_walk_leaves_the_default(key, value):
    assert link.read({key: value}, WALK) == (WALK, [key])


def test_unknown_keys_do_nothing():
    assert link.read({"tab": "admin", "__theme": "dark", "evil": "1", "__class__": "x"}, FIRST) == (FIRST, [])


def test_a_link_to_an_invalid_deal_is_not_made():
    with pytest.raises(FieldError, match="not a card"):
        link.write("gp", GeneralPointsSettings(cards="0 2 3"), [])
    with pytest.raises(FieldError, match="choose one from the list"):
        link.write("virl", VIRLSettings(route="<b>"), [])
