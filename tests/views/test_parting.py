"""Where two players part, as a reader sees it."""

import math

from labkit.envs import game, judge, start
from labkit.evaluation.tokens import Token
from labkit.views.parting import parting_html


def played(name, said, hand=("K", "6", "2", "4")):
    return judge(start(game("gp-l").task(hand=list(hand), attempts=1), name), said)


ONE, OTHER = played("<b>sft</b>", '{"number": [10]}'), played("rl", '{"number": [13]}')


def rows(page):
    return [[cell.text for cell in row.all("th") + row.all("td")] for row in page.all("tr")]


def test_each_player_goes_on_with_a_token_and_its_probability(parse):
    before = Token('{"number": [', -0.1)
    tokens = (
        [[before, Token("10", math.log(0.75), others=(("13", 0.2),)), Token("]}", 0.0)]],
        [[before, Token("13", math.log(0.5), others=(("7", 0.25),)), Token("]}", 0.0)]],
    )
    page = parse(parting_html((ONE, OTHER), tokens))
    # The two differ within a token: both begin with a 1.
    assert page.all("p")[0].text == 'Their answers part at attempt 1 after {"number": [1.'
    assert rows(page)[1:] == [["<b>sft</b>", "10", "0.75", "0.2"], ["rl", "13", "0.5", ""]]
    assert not page.all("b")


def test_without_tokens_the_texts_are_shown(parse):
    page = parse(parting_html((ONE, OTHER)))
    assert rows(page) == [["Player", "Goes on with"], ["<b>sft</b>", "0]}"], ["rl", "3]}"]]


def test_answers_that_do_not_part_say_so():
    assert "do not part" in parting_html((ONE, ONE))
