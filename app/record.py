"""Record episodes for the app's presets, to be shown before anything is played.

python -m app.record --player tiny:gp-l/sft
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from app.flow import RECORDED
from app.presets import FIRST, PRESETS, Preset
from labkit.envs import game
from labkit.envs.general_points.cards import other_rule
from labkit.errors import UsageError
from labkit.play import play
from labkit.players import Player, registry


def record(player: Player, presets: Sequence[Preset]) -> list[str]:
    """One episode for each preset, as JSON lines; a preset that the player cannot go on with is left out."""
    lines = []
    for preset in presets:
        try:
            episode = play(game("gp-l").task(hand=preset.cards.split(), faces=preset.faces), player)
        except UsageError as error:
            print(f"{preset.label}: {error}")
            continue
        print(f"{preset.label}: {episode.status} in {len(episode.attempts)} attempts")
        lines.append(episode.to_json())
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.record", description=__doc__.partition("\n")[0])
    parser.add_argument("--player", required=True, help="any that `labkit play` takes")
    parser.add_argument(
        "--out", type=Path, default=Path(str(RECORDED)), help="file to write (default: the bundled one)"
    )
    args = parser.parse_args()
    # The first preset under both rules: changing the rule shows what changes.
    flipped = FIRST._replace(faces=other_rule(FIRST.faces), label=f"{FIRST.label}, other rule")
    lines = record(registry.load(args.player), (*PRESETS, flipped))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} episodes in {args.out}")


if __name__ == "__main__":
    main()
