"""Play the same cards under both rules with the bundled GeneralPoints players, and store what came out.

    python scripts/same_cards.py

The hands hold a face card and can be solved under both rules. Those that are held out are of the splits ``test`` and
``unseen`` by their numbers under the trained rule: no stage of training met them, and no setting was chosen by them.
Notebooks 00 and 07 and the slides draw from ``results/same-cards.json``; run this again when the bundled players have
changed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from labkit.envs import game
from labkit.envs.general_points.cards import FACES, hands, numbers_of, split_of
from labkit.episode import Episode
from labkit.play import play_many
from labkit.players.registry import load

FILE = Path(__file__).parents[1] / "results" / "same-cards.json"
SAMPLES = 2
"""Episodes of each hand; sampling noise depends on hand, sample and attempt only."""
HELD_OUT = ("test", "unseen")
PLAYERS = (
    ("Init", "init", HELD_OUT),
    ("SFT", "sft", HELD_OUT),
    ("RL", "rl", HELD_OUT),
    ("SFT, training hands", "sft", ("train",)),
    ("SFT, stopped early", "sft@250", HELD_OUT),
)
"""Name, bundled player, and the splits of the hands."""
TEMPERATURE = 0.6
"""At which the players are measured."""
MOST = 115
"""Hands of a player: all that are held out, and as many evenly spaced ones of training."""


def same_hands(splits: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The ranks of the hands, in order."""
    old, new = ({hand.ranks for hand in hands(suite)} for suite in ("id", "rule-ood"))
    found = sorted(r for r in old & new if set(r) & set("JQK") and split_of(numbers_of(r, "ten")) in splits)
    return [found[i * len(found) // MOST] for i in range(min(MOST, len(found)))]


def shown(episode: Episode) -> list[Any]:
    """The formula and the category of an episode's last answer, and how many answers there were."""
    last = episode.attempts[-1]
    return [last.fields.get("formula"), last.verdict.category, len(episode.attempts)]


def play(player: str, dealt: list[tuple[str, ...]], faces: str) -> dict[str, Any]:
    """How often each hand was solved, and how the first episode of each ended."""
    began, loaded = time.time(), load(f"tiny:gp-l/{player}", temperature=TEMPERATURE, device="cpu")
    tasks = [game("gp-l").task(hand=list(ranks), faces=faces) for ranks in dealt]
    rounds: list[list[Episode]] = []
    for sample in range(SAMPLES):
        played = play_many(tasks, loaded, batch=len(tasks), key=(sample,))
        rounds.append([one.episode for one in sorted(played, key=lambda p: p.index)])
    won = [sum(episodes[i].success for episodes in rounds) for i in range(len(dealt))]
    rate = sum(won) / len(won) / SAMPLES
    print(f"{player} {faces}: {rate:.1%}, {time.time() - began:.0f} s", file=sys.stderr)
    return {"solved": won, "shown": [shown(episode) for episode in rounds[0]]}


def main() -> None:
    stored: dict[str, Any] = {"samples": SAMPLES, "temperature": TEMPERATURE, "played": []}
    for name, player, splits in PLAYERS:
        dealt = same_hands(splits)
        one: dict[str, Any] = {"name": name, "player": f"tiny:gp-l/{player}"}
        one["hands"] = [" ".join(ranks) for ranks in dealt]
        stored["played"].append(one | {faces: play(player, dealt, faces) for faces in FACES})
    text = json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
    FILE.write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
