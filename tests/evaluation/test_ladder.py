"""Success over distance: numbers of a player whose sight ends at a known tilt."""

import json

import pytest

from labkit.cli import main
from labkit.envs import game, ladder
from labkit.evaluation import evaluate
from labkit.evaluation.ladder import climb
from labkit.players import Answer

SMALL = {"picture": {"size": 64}, "attempts": 1}


class Dizzy:
    """Right up to 4 degrees of tilt; beyond, right in every other deal, and names no card in the rest."""

    name = "dizzy"

    def answer(self, turns):
        return [Answer(self._answer(turn.episode)) for turn in turns]

    def _answer(self, episode):
        sees = episode.task.picture["tilt"] <= 4 or episode.task.index % 2 == 0
        return game("gp-vl").expert(episode) if sees else '{"cards": [], "formula": "1"}'


@pytest.mark.parametrize("episodes", [10, "all"])
def test_change_is_counted_deal_by_deal_from_the_suite_under_the_rung(episodes):
    suites = ladder.groups("gp-vl")["tilt"]
    settings = SMALL | {"split": "dev", "episodes": episodes}
    results = {suite: evaluate(Dizzy(), "gp-vl", suite, **settings) for suite in reversed(suites)}
    steps = climb(results)
    assert [step.rung.step for step in steps] == ["2", "4", "8", "15", "30"]
    for step in steps:
        blind = step.rung.distance > 4
        lost = 0.0
        if blind:
            lost = 0.5 if episodes == 10 else _weight_of_odd_deals()
        assert step.headline.value == step.sight.value == pytest.approx(1 - lost)
        assert step.change.value == pytest.approx(-lost)
        low, high = step.change.ci95
        assert low <= -lost <= high and (high < 0) == blind
    assert json.loads(json.dumps(steps[0].to_dict()))["suite"] == "tilt@2"
    assert climb({"tilt@8": results["tilt@8"]})[0].change is None
    assert climb({"id": results["id"]}) == [] == climb({})


def _weight_of_odd_deals():
    shares = [share for _, share in ladder.enumerate_tasks("gp-vl", "id", "dev", picture={"size": 64})]
    return sum(shares[1::2])


def test_the_command_prints_success_over_distance(capsys, tmp_path):
    words = f"eval gp-vl --player expert --suite suit --episodes 3 --out {tmp_path}"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    table = out[out.index("success by distance") :].splitlines()
    assert table[1].split()[:3] == ["axis", "step", "distance"]
    assert [line.split()[:4] for line in table[2:]] == [["suit", str(n), f"{n}.000", "1.000"] for n in (1, 2, 3, 4)]
    assert out.count("\ngp-vl suit") == 0
    assert main([*words.split(), "--player", "random", "--json"]) == 0
    _, random = json.loads(capsys.readouterr().out)["players"]
    assert [step["suite"] for step in random["ladder"]] == ["suit@1", "suit@2", "suit@3", "suit@4"]
    assert main(f"eval gp-vl --player expert --suite tilt@5 --out {tmp_path}".split()) == 2
    assert "did you mean tilt@" in capsys.readouterr().err
