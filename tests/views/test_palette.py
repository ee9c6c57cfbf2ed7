"""Colours: the same method has the same one wherever it is named, and all of them can be seen."""

import pytest

from labkit.views.palette import METHODS, OTHERS, color_of, diverging, method_of, rgba


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("tiny:gp-l/init", "init"),
        ("tiny:gp-l/sft@300", "sft"),
        ("tiny:virl-l/rl", "rl"),
        ("run:20261121-101502-gp-l-grpo@40", "rl"),
        ("sft17-4e4", "sft"),
        ("/models/rl/gp-l-sft", "sft"),
        ("/models/sft/step-300", "sft"),
        ("tiny:base", "init"),
        ("expert", None),
        ("virl-l", None),
    ],
)
def test_a_method_is_told_by_a_players_name(name, method):
    assert method_of(name) == method


def test_the_first_name_that_tells_decides():
    assert method_of("g2000", "20261121-g2000", "sft") == "sft"
    assert color_of("gp-l-rl", "sft") == METHODS["rl"]
    assert color_of("expert", other=1) == OTHERS[1] == color_of("expert", other=1 + len(OTHERS))


def test_methods_can_be_seen_on_a_light_and_on_a_dark_page():
    for color in METHODS.values():
        assert contrast(color, "#FFFFFF") >= 3
        assert contrast(color, "#111111") >= 3


def test_a_change_is_white_at_zero_blue_above_orange_below_and_black_text_is_readable():
    assert diverging(0, 0.5) == "#FFFFFF"
    up, down = diverging(0.5, 0.5), diverging(-0.5, 0.5)
    assert int(up[5:], 16) > int(up[1:3], 16) and int(down[1:3], 16) > int(down[5:], 16)
    assert diverging(2, 0.5) == up and diverging(0.25, 0.5) not in (up, "#FFFFFF")
    assert min(contrast(up, "#111111"), contrast(down, "#111111")) >= 4.5


def test_an_opacity_keeps_the_colour():
    assert rgba("#0072B2", 0.25) == "rgba(0,114,178,0.25)"
