"""Play one episode: a player's, or your own.

examples:
  labkit play gp-l                                       you play: type formulas, Ctrl-D ends
  labkit play gp-l --player expert --cards "3 3 8 8"
  labkit play gp-l --player script:answers.jsonl --cards "K 3 8 J" --faces eleven-twelve-thirteen
  labkit play gp-l --player tiny:gp-l/init --suite rule-ood --split test --seed 7
  labkit play virl-vl --route 3 --suite visual-ood       you walk: type actions
  labkit play gp-vl --player OWNER/MODEL --occlusion 8   which part of the picture the answer hangs on

The episode is stored as a run (see `labkit runs`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.commands import common, games
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Episode, Task
    from labkit.players.base import Answer, Player, Request
    from labkit.runs import Run


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_cell(parser)
    parser.add_argument("--player", metavar="P", help="who plays (see `labkit players`); without it, you")
    parser.add_argument("--suite", help="where the task is dealt from (default: the first, id)")
    parser.add_argument("--split", help=common.SPLIT_HELP)
    parser.add_argument(
        "--attempts",
        type=int,
        metavar="N",
        help=common.ATTEMPTS_HELP,
    )
    parser.add_argument("--seed", type=int, default=0, help="of the deal and of sampling (default: 0)")
    parser.add_argument("--prompts", metavar="FILE", help="YAML or JSON with other prompt templates")
    parser.add_argument(
        "--occlusion",
        type=common.count,
        metavar="N",
        help="also cover the first picture patch by patch, N along a side, and draw which patches change the answer",
    )
    games.add_options(parser, naming=True)
    common.add_tokens(parser)
    common.add_player_options(parser)
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    task = games.task(args)
    if args.occlusion and (args.player is None or task.picture is None):
        raise UsageError("--occlusion asks a player about a picture; name a --player and a picture cell")
    _warn_if_unsolvable(task, args.player)
    out = sys.stderr if args.json else sys.stdout
    checkpoint = None
    if args.player:
        from labkit.players import registry

        player = common.load_player(args)
        if path := registry.info(args.player, runs=args.out).path:
            checkpoint = str(path)
    else:
        from labkit.commands.terminal import Person

        player = Person(out)
    if task.picture is not None:
        task = replace(task, picture={**task.picture, **common.picture_for(player, task.cell).get("picture", {})})
    with common.stored(args, f"play-{args.cell}", player=player.name, checkpoint=checkpoint) as stored:
        episode = _play(args, task, player, stored)
        if args.occlusion:
            _draw_occlusion(args, task, player, stored)
    common.say_notes(player)
    common.say(f"stored in {stored.path}")
    if args.json:
        common.emit({"run": str(stored.path), "status": episode.status, "episode": episode.to_dict()})
    return 0


def _warn_if_unsolvable(task: Task, player: str | None) -> None:
    """A hand without a solution may be played, to see what a player makes of it; the expert cannot."""
    from labkit.envs import game, start

    try:
        game(task.cell).expert(start(task))
    except UsageError as error:
        if player == "expert":
            raise
        common.say(f"labkit: note: {error}")


def _play(args: argparse.Namespace, task: Task, player: Player, stored: Run) -> Episode:
    """Play, show and store the episode, as far as it goes."""
    from labkit.commands.terminal import Transcript
    from labkit.envs import game, start
    from labkit.play import Played, stream

    transcript = Transcript(sys.stderr if args.json else sys.stdout, echo=args.player is not None)
    episode = opened = start(task, player.name)
    recorded = _Recorded(player)
    pictures = 0
    try:
        for episode in stream(opened, recorded, key=(args.seed, 0)):
            for position in episode.positions[pictures:]:
                pictures += 1
                if position.picture:
                    picture = stored.path / f"picture-{pictures}.png"
                    game(task.cell).draw(position.picture["recipe"]).save(picture)
                    common.say(f"the picture is {picture}")
            transcript.show(episode)
    except EOFError:
        common.say("the input ended, and so does the game")
    finally:
        if episode.attempts:
            stored.add_episodes("play", [episode])
            with common.tokens_of(stored, "play", wanted=args.tokens) as keep:
                if keep:
                    keep(Played(0, episode, tuple(recorded.answers)))
    return episode


def _draw_occlusion(args: argparse.Namespace, task: Task, player: Player, stored: Run) -> None:
    """Draw what the answer to the first picture hangs on, a file for each field of the answer."""
    from labkit.envs import start
    from labkit.evaluation.occlusion import occlusion, overlaid

    opened = start(task, player.name)
    found = occlusion(player, opened, grid=args.occlusion, key=(args.seed, 0))
    for name, changed in found.changed.items():
        path = stored.path / f"occlusion-{name.replace(' ', '-')}.png"
        overlaid(opened, changed).save(path)
        hits = int((changed > 0).sum())
        common.say(f"{name}: another answer under {hits} of {changed.size} patches; see {path}")


class _Recorded:
    """A player that keeps its answers."""

    def __init__(self, player: Player) -> None:
        self._player, self.name = player, player.name
        self.answers: list[Answer] = []

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        given = self._player.answer(turns)
        self.answers += given
        return given
