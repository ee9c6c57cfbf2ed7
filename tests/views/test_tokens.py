"""The tokens of stored answers in the turn view."""

import json
import math

import pytest

from labkit.cli import main
from labkit.runs import find
from labkit.runs.tokens import TokenReader
from labkit.views.tokens import StoredTokens, Token, tokens_html
from labkit.views.turns import turn_card
from labkit.views.widgets.episodes import EpisodeViewer


def test_each_token_tells_its_probability_and_doubt_is_darker(parse):
    shown = parse(tokens_html([Token("<b>", math.log(0.25)), Token("\n", 0.0), Token(" 24", math.log(0.9))]))
    spans = shown.all("span")
    assert [span.text for span in spans] == ["<b>", "\n", " 24"]
    assert [span.attributes["data-told"] for span in spans] == ["'<b>' p 0.25", "'\\n' p 1", "' 24' p 0.9"]
    assert all(span.attributes["tabindex"] == "0" for span in spans)
    # As dark as the probability is below 1.
    assert [span.attributes["style"] for span in spans] == [f"--lk-probability: {n}%" for n in (75, 0, 10)]
    assert "lowest 0.25: '<b>'" in shown.all("summary")[0].text
    # With one number there is nothing to choose.
    assert not shown.all("form") and tokens_html([]) == ""


def test_a_choice_says_which_of_several_numbers_is_the_colour(parse):
    first = Token(
        "10", math.log(0.5), entropy=0.5, value=-2.0, advantage=1.0, others=(("<13>", 0.4), ("1", 0.05), ("2", 1e-4))
    )
    second = Token("+", 0.0, entropy=2.0, value=1.0, advantage=-4.0)
    shown = parse(tokens_html([first, second]))
    radios = shown.all("input")
    assert [radio.attributes["value"] for radio in radios] == ["probability", "entropy", "value", "advantage"]
    assert ["checked" in radio.attributes for radio in radios] == [True, False, False, False]
    one, two = (span.attributes for span in shown.all("pre")[0].all("span"))
    told = "'10' p 0.5 · entropy 0.50 nats · value −2.00 · advantage +1.00 · instead: '<13>' 0.4, '1' 0.05"
    assert one["data-told"] == told
    # 0.5 of the highest entropy, 2; the largest value is 2, the largest advantage 4; what is above 0 has a tone of its
    # own.
    assert one["style"] == (
        "--lk-probability: 50%; --lk-entropy: 25%; --lk-value: 100%; --lk-advantage: 25%; "
        "--lk-advantage-tone: var(--lk-ok)"
    )
    assert two["style"].split("; ")[1:] == [
        "--lk-entropy: 100%", "--lk-value: 50%", "--lk-value-tone: var(--lk-ok)", "--lk-advantage: 100%",
    ]  # fmt: skip


@pytest.mark.parametrize("player", ["tiny:gp-l/init", "mine=tiny:gp-l/sft"])
def test_a_run_with_tokens_shows_them_on_its_cards(player, tmp_path, monkeypatch, capsys, parse):
    monkeypatch.chdir(tmp_path)
    words = ["eval", "gp-l", "--player", player, "--suite", "id", "--episodes", "2", "--attempts", "2"]
    assert main([*words, "--temperature", "1", "--json", "--tokens"]) == 0
    run = find(json.loads(capsys.readouterr().out)["run"])
    episodes = list(run.episodes("id"))
    for episode in episodes:
        stored = TokenReader(run).arrays(episode)
        for number, (attempt, tokens) in enumerate(zip(episode.attempts, StoredTokens(run).of(episode), strict=True)):
            # The end token is the last.
            assert "".join(token.text for token in tokens[:-1]) == attempt.answer
            assert [token.logp for token in tokens] == stored[number]["logp"].tolist()
            shown = parse(turn_card(episode, 0, number, tokens)).all(".lk-tokens")[0]
            assert len(shown.all("span")) == attempt.sample.tokens
    shown = parse(EpisodeViewer(episodes, run).static(0).data.partition("</style>")[2])
    assert len(shown.all(".lk-tokens")) == len(episodes[0].attempts)
    assert not parse(EpisodeViewer(episodes).static(0).data.partition("</style>")[2]).all(".lk-tokens")
    # A run that was made without --tokens has none to show.
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.yaml").write_text((run.path / "config.yaml").read_text())
    assert StoredTokens(find(other)).of(episodes[0]) == [[] for _ in episodes[0].attempts]
