"""Record episodes for the app, to be shown before anything is played.

python -m app.record gp-l --player tiny:gp-l/init
python -m app.record virl-l --player expert
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.flow import BUNDLED
from app.presets import FIRST, PRESETS, Preset
from app.virl_state import Settings
from labkit.envs import game
from labkit.envs.general_points.cards import other_rule
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Task
from labkit.errors import UsageError
from labkit.play import play
from labkit.players import Player, registry

CELLS = ("gp-l", "virl-l")


def hands(presets: Sequence[Preset]) -> list[tuple[str, Task]]:
    """The presets of the GeneralPoints tab, each with its label."""
    return [(p.label, game("gp-l").task(hand=p.cards.split(), faces=p.faces)) for p in presets]


def walks() -> list[tuple[str, Task]]:
    """The walk that the V-IRL tab opens with, under both rules: changing the rule shows what changes."""
    return [(actions, Settings(actions=actions).task) for actions in ACTIONS]


def record(player: Player, tasks: Iterable[tuple[str, Task]]) -> list[str]:
    """One episode for each task, as JSON lines; one that the player cannot go on with is left out."""
    lines = []
    for label, task in tasks:
        try:
            episode = play(task, player)
        except UsageError as error:
            print(f"{label}: {error}")
            continue
        print(f"{label}: {episode.status} in {len(episode.attempts)} attempts")
        lines.append(episode.to_json())
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.record", description=__doc__.partition("\n")[0])
    parser.add_argument("cell", choices=CELLS, help="what is played")
    parser.add_argument("--player", required=True, help="any that `labkit play` takes")
    parser.add_argument("--out", type=Path, help="file to write (default: the bundled one)")
    args = parser.parse_args()
    out = args.out or Path(str(BUNDLED)) / args.cell / "recorded.jsonl"
    # The first preset under both rules: changing the rule shows what changes.
    flipped = FIRST._replace(faces=other_rule(FIRST.faces), label=f"{FIRST.label}, other rule")
    tasks = hands((*PRESETS, flipped)) if args.cell == "gp-l" else walks()
    lines = record(registry.load(args.player), tasks)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} episodes in {out}")


if __name__ == "__main__":
    main()
