"""What a reader of a turn card relies on: the answer word for word, and the right numbers beside it."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode, Sample
from labkit.views.turns import episode_html, hand_html, summary_html, turn_card, turns_html

NASTY = {
    "markup": "<img src=x onerror=alert(1)><script>alert(2)</script></pre></article>",
    "attribute": '" onmouseover="alert(1)\' autofocus',
    "stars": "2*3*4",
    "underscores": "a_b_c __d__",
    "dollars": "$x$ $$y$$ ${alert(1)} {{value}} `z` \\(w\\)",
    "tags": "<think>no</think><answer>8*3</answer>",
    "entities": "&lt; &amp; &#36;",
    "emoji": "🃏 👩‍🔬 ♠️",
    "space": "\n\n  two  spaces\tand a tab\n",
    "long": "0123456789" * 300,
    "right to left": "\u202eabc\u202c",
}
TRUTH = {"cards": ["8", "J", "3", "8"], "faces": "eleven-twelve-thirteen"}


def answer(number: list[int], formula: str, cards: list[str] = TRUTH["cards"]) -> str:
    return json.dumps({"cards": cards, "number": number, "formula": formula})


@pytest.fixture
def episode() -> Episode:
    """J = 11: the answer for J = 10, then a wrong value, then 11+8+8-3 = 24."""
    task = game("gp-l").task(hand=TRUTH["cards"], faces=TRUTH["faces"])
    played = judge(start(task, "a model"), answer([8, 10, 3, 8], "(10*8-8)/3=24"))
    sample = Sample(41, 120, 0.3, 0.7, -3.21, decisive_logp=-1.25, decisive_tokens=9, value=-0.5)
    played = judge(played, answer([8, 11, 3, 8], "(11*8-8)/3=24"), sample)
    return judge(played, answer([8, 11, 3, 8], "11+8+8-3=24"))


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_the_answer_is_shown_word_for_word(text, parse):
    played = judge(start(game("gp-l").task(hand=TRUTH["cards"]), text), text)
    html = episode_html(played)
    page = parse(html)
    # A parser drops the one line break right behind <pre>.
    [shown] = page.all(".lk-answer")
    assert shown.text.removeprefix("\n") == text
    assert page.all("strong")[0].text == text, "the player's name is as untrusted as its answers"
    raw = next(d for d in page.all("details") if d.all("summary")[0].text == "Raw answer")
    assert json.loads(raw.all("pre")[0].text) == text
    assert not page.all("script") and not page.all("img") and not page.all("think")
    assert not any(name.startswith("on") for e in page.all("article") for name in e.attributes)
    assert "${" not in html and "{{" not in html, "gradio fills templates in the page: no text may look like one"


THOUGHT = "21 no; 10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; back to 3 8 1; 8*1=8: 3 8; 3*8=24"


def test_a_thought_is_folded_with_a_try_a_line_and_its_misses_greyed(parse):
    before = '{"cards": ["10", "9", "3", "8"], "number": [10, 9, 3, 8], "thought": "'
    text = f'{before}{THOUGHT}", "formula": "3*8*(10-9)=24"}}'
    page = parse(turn_card(judge(start(game("gp-l").task(hand=["10", "9", "3", "8"])), text), 0, 0))
    [shown] = page.all(".lk-answer")
    [folded] = shown.all("details")
    assert folded.all("summary")[0].text == "Thought: 2 tries, 1 missed" and "open" not in folded.attributes
    assert [(line.text, line.attributes.get("class")) for line in folded.all("li")] == [
        ("21 no; ", "lk-missed"),
        ("10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; ", "lk-missed"),
        ("back to 3 8 1; 8*1=8: 3 8; 3*8=24", None),
    ]
    whole = shown.text.replace("Thought: 2 tries, 1 missed", "").replace("\n", "")
    assert whole == text and [u.text for u in shown.all("u")] == ["3*8*(10-9)=24"]


@pytest.mark.parametrize(
    ("thought", "summary"),
    [
        ("8+8=16: 3 1 16; 16*1=16: 3 16; 16+3=19 no; 8*3", "Thought: 1 try, 1 missed"),
        ("Let me see. <b>8</b> times 3 is 24.", "Thought: in words"),
    ],
)
def test_a_thought_that_the_token_limit_cut_off_is_folded_too(thought, summary, parse):
    text = f'{{"cards": ["8", "A", "3", "8"], "thought": "{thought}'
    page = parse(turn_card(judge(start(game("gp-l").task(hand=["8", "A", "3", "8"])), text), 0, 0))
    [shown] = page.all(".lk-answer")
    assert shown.all("summary")[0].text == summary and not shown.all("b")
    assert shown.text.replace(summary, "").replace("\n", "") == text


def test_characters_that_html_cannot_carry_are_named():
    played = judge(start(game("gp-l").task(hand=TRUTH["cards"])), "a\0b\udc80c")
    html = turn_card(played, 0, 0)
    assert "a&#9216;b&#92;udc80c" in html
    html.encode("utf-8")


def test_rewards_add_up(episode, parse):
    page = parse(turns_html(episode))
    # wrong numbers -2, wrong value -1, correct +5: totals -2, -3, +2.
    assert [e.text for e in page.all(".lk-reward")] == [
        "reward −2 · total −2", "reward −1 · total −3", "reward +5 · total +2",
    ]  # fmt: skip
    summary = parse(summary_html(episode))
    assert "solved" in summary.text and "return +2" in summary.text
    assert [" ".join(e.text.split()) for e in summary.all("li")] == [
        "1 ✗ wrong numbers −2", "2 ✗ wrong value −1", "3 ✓ correct +5",
    ]  # fmt: skip


def test_the_penalty_of_the_last_attempt_is_an_item_of_its_own(parse):
    played = start(game("gp-l").task(hand=TRUTH["cards"], attempts=1))
    page = parse(turns_html(judge(played, "no")))
    # Unreadable -3, and -1 because no attempt is left.
    assert page.all(".lk-reward")[0].text == "reward −4 (−1 for the last attempt used up) · total −4"


def test_fields_are_held_against_the_deal(episode, parse):
    first, second, third = parse(turns_html(episode)).all("article")
    rows = [[cell.text.strip() for cell in row.all("th") + row.all("td")] for row in first.all("tr")]
    assert rows == [
        ["cards", "8, J, 3, 8", "✓ ok"],
        ["number", "8, 10, 3, 8", "✗ not ok they count as 8, 11, 3, 8"],
        ["formula", "(10*8-8)/3=24", "✗ not ok equals 24"],
    ]
    # (11*8-8)/3 = 80/3.
    assert second.all("tr")[2].all("td")[1].text == "✗ not ok equals 80/3"
    assert [row.all("td")[1].text.strip() for row in third.all("tr")] == ["✓ ok", "✓ ok", "✓ ok equals 24"]


def test_the_verifier_is_quoted_and_tags_are_explained(episode, parse):
    first = parse(turn_card(episode, 0, 0))
    said = episode.attempts[0].verdict.feedback
    assert f"Verifier {said}" in [e.text for e in first.all(".lk-said")]
    tags = {e.all("code")[0].text: e.text for e in first.all(".lk-tags")[0].all("li")}
    assert "the numbers are those of the other face rule" in tags["wrong_face_value"]


def test_an_answer_for_the_other_rule_is_called_out(episode, parse):
    first, second, _ = (parse(turn_card(episode, 0, n)).all(".lk-other")[0].all("summary")[0].text for n in range(3))
    # (10*8-8)/3 = 24 is right when J counts as 10; (11*8-8)/3 is not.
    assert "would be correct under J, Q, K = 10" in " ".join(first.split())
    assert "would be correct" not in second
    no_faces = judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), answer([3, 3, 8, 8], "3*3+8+8"))
    assert not parse(turn_card(no_faces, 0, 0)).all(".lk-other"), "without a face card the rules agree"


def test_failures_that_repeat_the_one_before_are_one_line(parse):
    # With J = 10: 8+8+3+10 = 29 three times, in two orders, then unreadable, then right.
    task = game("gp-l").task(hand=["8", "J", "3", "8"])
    played = start(task, "a model")
    for formula in ("8+8+3+10", "8+8+3+10", "10+8+8+3"):
        played = judge(played, answer([8, 10, 3, 8], formula))
    played = judge(judge(played, "?"), answer([8, 10, 3, 8], "(10*8-8)/3"))
    page = parse(turns_html(played))
    [folded] = page.all(".lk-repeated")
    line = " ".join(folded.all("summary")[0].text.split())
    assert line.startswith("Attempts 2 to 3 fail as attempt 1 did ✗ wrong value") and "equals 29" in line
    assert "open" not in folded.attributes and len(folded.all("article")) == 2
    # Everything is still there, in order.
    assert [card.attributes["aria-label"].split(":")[0] for card in page.all("article")] == [
        f"Attempt {n} of 5" for n in range(1, 6)
    ]
    assert len(page.parts[0].parts) == 4, "the first, the fold, the unreadable one, the right one"


def test_a_folded_line_says_that_the_answers_keep_to_the_other_rule(parse):
    # (10*8-8)/3 = 24 where J counts as 10.
    old = answer([8, 10, 3, 8], "(10*8-8)/3")
    played = start(game("gp-l").task(hand=TRUTH["cards"], faces=TRUTH["faces"]))
    for _ in range(2):
        played = judge(played, old)
    line = parse(turns_html(played)).all(".lk-repeated")[0].all("summary")[0].text
    assert "Attempt 2 fails as attempt 1 did" in line and "would be correct under J, Q, K = 10" in line


def test_a_live_card_asks_for_the_tokens_of_a_sampled_answer(episode, parse):
    page = parse(turns_html(episode, live=True))
    # Only the second answer was sampled.
    assert [part.attributes["data-ask"] for part in page.all("details") if "data-ask" in part.attributes] == ["0.1"]
    assert "data-ask" not in turns_html(episode)


def test_the_prompt_is_the_dialogue_with_its_new_part_marked(episode, parse):
    page = parse(turn_card(episode, 0, 2))
    messages = page.all(".lk-message")
    told = [m.all("pre")[0].text.removeprefix("\n") for m in messages]
    first, second, _ = episode.attempts
    assert told == [
        episode.position.prompt,
        first.answer, first.verdict.feedback,
        second.answer, second.verdict.feedback,
    ]  # fmt: skip
    assert [bool(m.all("mark")) for m in messages] == [False, False, False, True, True]


def test_how_the_answer_was_sampled(episode, parse):
    shown = parse(turn_card(episode, 0, 1)).all(".lk-sample")[0].text
    for part in ("41 tokens", "temperature 0.7", "log p −3.21", "−1.25 over 9 tokens", "value estimate −0.5"):
        assert part in shown
    assert not parse(turn_card(episode, 0, 0)).all(".lk-sample"), "only models have a sample"


def test_the_underlined_part_is_the_formula(episode, parse):
    assert parse(turn_card(episode, 0, 2)).all("u")[0].text == "11+8+8-3=24"


def test_a_stored_episode_looks_the_same(episode):
    assert episode_html(Episode.from_json(episode.to_json())) == episode_html(episode)


def test_the_hand_has_a_spoken_name(parse):
    page = parse(hand_html(start(game("gp-l").task(hand=[("A", "S"), ("10", "H"), ("K", "C")]))))
    [cards] = page.all(".lk-cards")
    assert cards.attributes["aria-label"] == "ace of spades, 10 of hearts, king of clubs"
    assert len(cards.all("svg")) == 3
    assert "J, Q and K each count as 10." in page.text


def test_an_image_cell_shows_the_picture_that_was_sent(parse):
    played = judge(start(game("gp-vl").task(hand=TRUTH["cards"])), "?")
    [image] = parse(turn_card(played, 0, 0)).all(".lk-message")[0].all("img")
    assert image.attributes["src"].startswith("data:image/png;base64,")


def test_an_episode_without_answers_says_so(parse):
    assert "No answer yet." in parse(episode_html(start(game("gp-l").task(hand=TRUTH["cards"])))).text


def test_there_is_no_such_attempt(episode):
    with pytest.raises(IndexError):
        turn_card(episode, 0, 3)
