"""What the settings of every game share: templates and their placeholders."""

import pytest

from labkit.envs import game
from labkit.envs.settings import check_templates, fill
from labkit.errors import UsageError


@pytest.mark.parametrize(
    ("cell", "template", "text", "message"),
    [
        (
            "gp-l",
            "wrong_value",
            "It {reson}.",
            "template 'wrong_value': no placeholder {reson}; did you mean {reason}?",
        ),
        ("gp-l", "faces_equal", "All are {j}.", "did you mean {J}?"),
        ("virl-l", "turn", "Go {Compass}.", "did you mean {compass}?"),
        ("virl-l", "observed", "{number}: {observations}", "did you mean {observation}?"),
        ("virl-vl", "landmark", "{nam} is {relation}", "did you mean {name}?"),
    ],
)
def test_a_misspelt_placeholder_is_named_with_the_nearest(cell, template, text, message):
    with pytest.raises(UsageError) as error:
        check_templates(game(cell).templates, {template: text})
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ['Write {"cards": [], "formula": ""}', "\\frac{a}{b}", "{}", "{ target }", "{x}", "{answer}"]
)
def test_other_braces_are_left_as_they_are(text):
    check_templates(game("gp-l").templates, {"format": text})
    assert fill(text, target=24) == text


@pytest.mark.parametrize("cell", ["gp-l", "virl-l"])
def test_the_built_in_templates_and_their_variants_pass(cell):
    for number in range(16):
        check_templates(game(cell).templates, game(cell).prompt_variant(number))
