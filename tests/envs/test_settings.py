"""What the settings of every game share: templates and their placeholders."""

import re
from random import Random

import pytest

from labkit.envs import game, judge, start
from labkit.envs.settings import check_templates, fill
from labkit.errors import UsageError


def check(cell, templates):
    check_templates(game(cell).templates, game(cell).placeholders, templates)


@pytest.mark.parametrize(
    ("cell", "template", "text", "message"),
    [
        ("gp-l", "wrong_value", "It {reson}.", "'wrong_value': no placeholder {reson}; it may use {reason}, {target};"),
        ("gp-l", "task", "Reach the {goal}.", "'task': no placeholder {goal}; it may use {target}, {count}, {faces};"),
        ("gp-l", "faces_equal", "All are {j}.", "no placeholder {j}; it may use {J}, {Q}, {K};"),
        ("gp-l", "format", "\\boxed{answer}", "for that word in braces write { answer }"),
        ("gp-l", "correct", "Right: {reason}", "no placeholder {reason}; it may use {target};"),
        ("gp-l", "again", "Reach {target}.", "'again': no placeholder {target}; it may use none;"),
        ("gp-vl", "task", "Use {cards}.", "'task': no placeholder {cards}; it may use {target}, {count}, {faces};"),
        ("virl-l", "turn", "Go {Compass}.", "no placeholder {Compass}; it may use {relative}, {compass};"),
        ("virl-l", "sentence", "{number}. {instruction}", "no placeholder {instruction}; it may use {number}, {text};"),
        ("virl-vl", "landmark", "{nam} is {relation}", "no placeholder {nam}; it may use {name}, {relation};"),
    ],
)
def test_a_placeholder_that_a_template_is_not_given_is_refused(cell, template, text, message):
    with pytest.raises(UsageError) as error:
        check(cell, {template: text})
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ['Write {"cards": [], "formula": ""}', "x^{2}", "{}", "{ target }", "\\boxed{ answer }"]
)
def test_other_braces_are_left_as_they_are(text):
    check("gp-l", {"format": text})
    assert fill(text, target=24) == text


@pytest.mark.parametrize("cell", ["gp-l", "virl-l"])
def test_the_built_in_templates_and_their_variants_pass(cell):
    check(cell, game(cell).templates)
    for number in range(16):
        check(cell, game(cell).prompt_variant(number))


@pytest.mark.parametrize(
    ("cell", "suites", "unused"),
    [
        ("gp-l", ("id", "rule-ood"), {"input_picture", "wrong_cards"}),
        ("gp-vl", ("id", "rule-ood"), {"input"}),
        ("virl-l", ("id", "rule-ood"), {"grid"}),
        ("virl-vl", ("id",), {"actions_relative"}),
    ],
)
def test_every_placeholder_that_a_template_may_use_is_filled(cell, suites, unused):
    one = game(cell)
    full = {name: f"<{name}>" + "".join(f"{{{given}}}" for given in some) for name, some in one.placeholders.items()}
    rng, read = Random(0), ""
    for suite in suites:
        for task, _ in zip(one.tasks(suite, prompts=full, attempts=40), range(2), strict=False):
            episode = start(task)
            right = one.expert(episode)
            broken = right.replace('"formula": "', '"formula": "('), right.replace('"cards": [', '"cards": ["A", ')
            guesses = [make(episode, rng) for make in (one.wrong, one.random) for _ in range(15)]
            for answer in ["", *guesses, *broken, right]:
                if not episode.done:
                    episode = judge(episode, answer)
            for position in episode.positions:
                read += position.prompt + "".join(attempt.verdict.feedback for attempt in position.attempts)
    # A route with a single milestone, whose instruction is "here", is in no suite.
    assert set(re.findall(r"<(\w+)>", read)) == full.keys() - unused - {"here"}
    assert "{" not in read
