"""The tokens of stored answers in the turn view."""

import json
import math
import re

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
    assert [span.attributes["title"] for span in spans] == ["p 0.25", "p 1", "p 0.9"]
    # As dark as the probability is below 1.
    assert [re.search(r"\d+", span.attributes["style"])[0] for span in spans] == ["75", "0", "10"]
    assert "lowest 0.25: '<b>'" in shown.all("summary")[0].text
    assert tokens_html([]) == ""


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
