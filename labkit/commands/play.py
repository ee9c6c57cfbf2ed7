"""Play one episode: a player's, or your own.

examples:
  labkit play gp-l                                       you play: type formulas, Ctrl-D ends
  labkit play gp-l --player expert --cards "3 3 8 8"
  labkit play gp-l --player script:answers.jsonl --cards "K 3 8 J" --faces eleven-twelve-thirteen
  labkit play gp-l --player tiny:gp-l/init --suite rule-ood --split test --seed 7

The episode is stored as a run (see `labkit runs`).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from labkit.commands import common
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Episode, Task
    from labkit.players import Player
    from labkit.runs import Run


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help=common.CELL_HELP)
    parser.add_argument("--player", metavar="P", help="who plays (see `labkit players`); without it, you")
    parser.add_argument(
        "--cards", metavar='"3 3 8 8"', help="three to six ranks, in the order they are shown"
    )
    parser.add_argument(
        "--suite", help="where the cards are dealt from, unless --cards names them (default: id)"
    )
    parser.add_argument("--split", help="part of the suite: all (default), train, dev, test or unseen")
    parser.add_argument("--faces", metavar="RULE", help=common.FACES_HELP)
    parser.add_argument("--target", type=int, default=24, help="the number to make (default: 24)")
    parser.add_argument("--attempts", type=int, default=5, metavar="N", help="answers allowed (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the deal and of sampling (default: 0)")
    parser.add_argument("--prompts", metavar="FILE", help="YAML or JSON with other prompt templates")
    common.add_player_options(parser)
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    task = _task(args)
    _warn_if_unsolvable(task, args.player)
    out = sys.stderr if args.json else sys.stdout
    if args.player:
        player = common.load_player(args)
    else:
        from labkit.commands.terminal import Person

        player = Person(out)
    with common.stored(args, f"play-{args.cell}", player=player.name) as stored:
        episode = _play(args, task, player, stored)
    common.say(f"stored in {stored.path}")
    if args.json:
        common.emit({"run": str(stored.path), "status": episode.status, "episode": episode.to_dict()})
    return 0


def _task(args: argparse.Namespace) -> Task:
    from labkit.envs import game

    cell = common.cell_of(args.cell)
    settings = {
        "target": args.target,
        "attempts": args.attempts,
        "prompts": common.read_prompts(args.prompts),
    }
    if args.cards is not None:
        if args.suite or args.split:
            raise UsageError(
                "--cards names the cards, so no suite or split deals them; leave one of the two out"
            )
        return game(cell).task(
            hand=args.cards.replace(",", " ").split(), faces=args.faces or "ten", **settings
        )
    suite, split = common.suite_of(cell, args.suite or "id"), common.split_of(args.split or "all")
    return next(game(cell).tasks(suite, split, seed=args.seed, faces=args.faces, **settings))


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
    from labkit.play import stream

    transcript = Transcript(sys.stderr if args.json else sys.stdout, echo=args.player is not None)
    episode = opened = start(task, player.name)
    if opened.position.picture:
        picture = stored.path / "cards.png"
        game(task.cell).draw(opened.position.picture["recipe"]).save(picture)
        common.say(f"the cards are in {picture}")
    try:
        for episode in stream(opened, player, key=(args.seed, 0)):
            transcript.show(episode)
    except EOFError:
        common.say("the input ended, and so does the game")
    finally:
        if episode.attempts:
            stored.add_episodes("play", [episode])
    return episode
