"""Evaluate players on the suites of a cell.

examples:
  labkit eval gp-l --player expert --episodes 100
  labkit eval gp-l --player tiny:gp-l/init --suite id,rule-ood --split test --episodes all
  labkit eval gp-l --player tiny:gp-l/init run:sft-gp-l run:rl-gp-l --episodes all
  labkit eval gp-l --player tiny:gp-l/init --temperature 1 --samples 16 --episodes 200
  labkit eval gp-l --player tiny:gp-l/init tiny:gp-l/rl --temperature 0,0.2,0.6,1
  labkit eval gp-l --player tiny:gp-l/init --temperature 0.6 --revision independent
  labkit eval gp-l --player run:sft-gp-l --reference tiny:gp-l/init
  labkit eval virl-vl --player OWNER/MODEL --blind --episodes 50
  labkit eval gp-vl --player OWNER/MODEL --suite tilt,noise --episodes 200
  labkit eval gp-l --player run:20261121-101502-sft-gp-l@400 --json > results.json
  labkit eval --resume 20261121-101502-eval-gp-l

--episodes N plays N seeded deals, the same for every player; all plays every hand once, in one seeded order
of its cards, weighted by how often a deck deals it. Success is success within --attempts; the table also
shows it for fewer attempts. Of several players, each but the first is compared with the first at the same
temperature, deal by deal. --temperature best takes, for each player, the one of 0, 0.2, 0.6 and 1 that is best on
held-out dev deals of the trained rule. --revision independent shows a player neither its earlier answers nor the
feedback; bare tells it only that they were wrong, other gives it the feedback to a wrong answer to another deal.
--blind also plays each model with noise in place of the picture (blind:MODEL), and on V-IRL a rule that
reads the prompt's words only (words). Where positions follow each other (V-IRL), every position is also asked once,
with the expert's history.
Episodes and results are stored as a run for each player and temperature (see `labkit runs`). --resume RUN plays the
deals that an interrupted evaluation still lacks and takes every setting from the run; of several runs of the same
deals, each but the first is compared with the first. --suite tilt plays id and the rungs tilt@2 to tilt@30,
each with the deals of id, and --suite ladder the rungs of all axes. docs/evaluation.md explains every measure.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from labkit.commands import common, eval_resume, eval_rows, games
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Episode
    from labkit.evaluation import SuiteResult
    from labkit.players import Player
    from labkit.runs import Run


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_cell(parser, without="--resume")
    parser.add_argument("--resume", metavar="RUN", nargs="+", help="finish evaluations that were interrupted")
    parser.add_argument(
        "--player",
        metavar="P",
        nargs="+",
        action="extend",
        help="who plays (see `labkit players`); of several, the first is what the others are compared with",
    )
    parser.add_argument(
        "--suite",
        metavar="S,S",
        help="one or more of id, rule-ood and (pictures) visual-ood, the default; or of the ladder of visual shifts: "
        "a rung such as tilt@4, an axis such as tilt, or ladder",
    )
    parser.add_argument("--split", default="all", help=common.SPLIT_HELP)
    parser.add_argument(
        "--episodes", metavar="N|all", type=_episodes, default=500, help="deals of each suite (default: 500)"
    )
    parser.add_argument(
        "--attempts",
        type=int,
        metavar="N",
        help=common.ATTEMPTS_HELP,
    )
    parser.add_argument(
        "--samples",
        type=common.count,
        metavar="K",
        default=1,
        help="independent answers to each deal, for pass@1 to pass@K; no feedback, so one attempt each",
    )
    parser.add_argument(
        "--revision",
        choices=("dialogue", "independent", "bare", "other"),
        default="dialogue",
        help="what a player reads of its attempts before: them and the feedback (default), nothing, a bare `wrong` as "
        "feedback, or feedback about another deal",
    )
    parser.add_argument(
        "--blind",
        action="store_true",
        help="also play controls that never look: each model with noise for the picture, and `words` on V-IRL",
    )
    parser.add_argument(
        "--deals",
        metavar="FILE",
        help="play these deals: JSON lines with a task each, such as stored episodes; in place of --split, --episodes",
    )
    parser.add_argument(
        "--reference",
        metavar="P",
        help="also measure how far each player has moved from this checkpoint (KL a token, on its own answers)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the deals and of sampling (default: 0)")
    parser.add_argument(
        "--batch",
        type=common.count,
        metavar="N",
        default=128,
        help="episodes played side by side (default: 128)",
    )
    parser.add_argument("--prompts", metavar="FILE", help="YAML or JSON with other prompt templates")
    common.add_tokens(parser)
    games.add_options(parser, naming=False)
    common.add_player_options(
        parser,
        temperature=eval_rows.temperatures,
        temperature_help="of sampling, one or several with commas, or best; 0, the default, is greedy",
    )
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.commands import eval_tables
    from labkit.progress import Progress

    runs: list[Run] = []
    if args.resume:
        args, runs = eval_resume.settings(args, configure)
    if args.cell is None or not args.player:
        raise UsageError("name a cell and --player, or a run to --resume; see `labkit eval --help`")
    cell = common.cell_of(args.cell)
    suites = _suites(args, cell)
    common.split_of(cell, args.split)
    if args.samples > 1:
        if args.attempts not in (None, 1):
            raise UsageError("--samples are independent answers, without feedback; leave --attempts out")
        args.attempts = 1
    given = ("split", "episodes", "seed", "samples", "deals")
    settings = games.settings(args, cell) | {n: getattr(args, n) for n in given}
    names = _players(args, cell)
    deals = args.samples * sum(_deals(cell, suite, settings) for suite in suites)
    checkpoints = _check(args, names)
    greedy = argparse.Namespace(**vars(args) | {"temperature": 0.0})
    reference = _load(greedy, args.reference) if args.reference else None
    # What cannot be loaded, or compared, is told before anything is shown or stored; loaded models stay at hand.
    first = _load(greedy, names[0])
    if reference:
        from labkit.evaluation.drift import Drift

        Drift(first, reference)
    del first
    rows = eval_rows.laid_out(args, cell, settings, names, checkpoints)
    kept = []
    for run, row in zip(runs, rows, strict=False):
        drawn = common.picture_for(_load(greedy, row.player), cell)
        kept.append(eval_resume.kept(run, cell, suites, settings | drawn))
    stored = sum(len(episodes) for of_run in kept for episodes in of_run.values())
    bar, played = Progress("episodes", len(rows) * deals, stored), count(stored + 1)

    def progress(**figures: float) -> None:
        bar.update(next(played), **figures)

    done = []
    try:
        for number, row in enumerate(rows):
            started = (runs[number], kept[number]) if runs else (None, {})
            asked = argparse.Namespace(**vars(args) | {"temperature": row.temperature})
            checkpoint = checkpoints.get(row.player)
            done.append(_evaluate(asked, row.player, cell, suites, settings, reference, progress, checkpoint, *started))
            bar.say(eval_tables.summary(done[-1][1].values()))
    finally:
        bar.close()
    documents, results = zip(*done, strict=True)
    changes = [_changes(rows, results, number, suites) for number in range(len(rows))]
    if args.json:
        several = [_of_several(*each) for each in zip(rows, documents, changes, strict=True)]
        common.emit(documents[0] if len(rows) == 1 else {"cell": cell, "seed": args.seed, "players": several})
    else:
        print(eval_tables.report(results[0]) if len(rows) == 1 else eval_tables.comparison(rows, results, changes))
    for document in documents:
        common.say(f"stored in {document['run']}")
    return 0


def _players(args: argparse.Namespace, cell: str) -> list[str]:
    """The players named, and those of ``--blind``. Each run holds one by its own name, so the option ends here.

    Raises:
        UsageError: a player is to be blind in a cell without pictures.
    """
    from labkit.envs import game
    from labkit.players import registry
    from labkit.players.blind import PREFIX

    names = list(dict.fromkeys(args.player))
    if not game(cell).pictured and (args.blind or any(PREFIX in name for name in names)):
        raise UsageError(f"{cell} shows no pictures; leave --blind and {PREFIX} out, or take a picture cell")
    if args.blind:
        args.blind = False
        models = [name for name in names if registry.info(name, runs=args.out).path and PREFIX not in name]
        names += [f"{PREFIX}{name}" for name in models]
        names += ["words"] if hasattr(game(cell), "by_words") else []
    return list(dict.fromkeys(names))


def _suites(args: argparse.Namespace, cell: str) -> list[str]:
    """The suites to play: those named; else those of the deals given; else all.

    Raises:
        UsageError: the cell has no such suite, or the deals cannot be read.
    """
    from labkit.envs import game, ladder
    from labkit.evaluation.suites import read_deals

    if args.deals:
        if args.samples > 1:
            raise UsageError("--deals are played once each; leave --samples out")
        there = list(dict.fromkeys(task.suite for task in read_deals(args.deals, cell)))
        return (
            [common.known("suite of the deals", name.strip(), there) for name in args.suite.split(",")]
            if args.suite
            else there
        )
    several = ladder.groups(cell)
    names = [name.strip() for name in args.suite.split(",")] if args.suite else game(cell).suites
    found = [suite for name in names for suite in several.get(name, (name,))]
    return list(dict.fromkeys(common.suite_of(cell, name) for name in found))


def _episodes(text: str) -> int | str:
    return text if text == "all" else common.count(text)


def _deals(cell: str, suite: str, settings: Mapping[str, Any]) -> int:
    """How many deals there will be; an impossible setting is told before a model is loaded and a run is made."""
    from labkit.evaluation.suites import tasks_of

    dealt = {k: v for k, v in settings.items() if k != "samples"}
    if settings["episodes"] != "all" and settings["deals"] is None:
        tasks_of(cell, suite, **dealt | {"episodes": 1})
        return settings["episodes"]
    return len(tasks_of(cell, suite, **dealt))


def _check(args: argparse.Namespace, names: Sequence[str]) -> dict[str, str]:
    """The checkpoints of the players that are models.

    Raises:
        UsageError: a player cannot be evaluated as asked.
    """
    from labkit.players import registry

    models = {name: str(path) for name in names if (path := registry.info(name, runs=args.out).path) is not None}
    if models and 0 in eval_rows.asked(args):
        if args.samples > 1:
            raise UsageError("at temperature 0 all samples of a deal are alike; add --temperature, such as 1")
        if args.revision == "independent":
            raise UsageError("at temperature 0 all independent answers are the same; add --temperature, such as 1")
    if args.reference:
        registry.resolve_checkpoint(args.reference, runs=args.out)
        for name in names:
            if name not in models:
                raise UsageError(f"{name} is not a model: --reference compares checkpoints; leave one of them out")
    return models


def _load(args: argparse.Namespace, name: str) -> Player:
    return common.load_player(argparse.Namespace(**vars(args) | {"player": name}))


def _evaluate(
    args: argparse.Namespace,
    name: str,
    cell: str,
    suites: Sequence[str],
    settings: Mapping[str, Any],
    reference: Player | None,
    progress: Callable[..., None],
    checkpoint: str | None,
    run: Run | None,
    kept: Mapping[str, Sequence[Episode]],
) -> tuple[dict[str, Any], dict[str, SuiteResult]]:
    """Play one player's suites and store them; what ``results.json`` holds, and the results themselves.

    Args:
        run: to go on with, whose episodes ``kept`` are not played again.
    """
    from labkit.evaluation import evaluate
    from labkit.evaluation.ladder import climb
    from labkit.evaluation.suites import ASKED_ONCE
    from labkit.players.simple import Script
    from labkit.runs.store import write_json

    player = _load(args, name)
    # A script's answers are in the order of the episodes; side by side these would take each other's.
    scripted = isinstance(player, Script)
    settings = {
        **settings,
        **common.picture_for(player, cell),
        "reference": reference,
        "batch": 1 if scripted else args.batch,
    }
    # A script has no answers to spare.
    settings |= {"revision": args.revision, "ask_every_position": not scripted}
    results: dict[str, SuiteResult] = {}
    more = {"player": player.name, "checkpoint": checkpoint}
    with common.stored(args, f"eval-{cell}", run=run, **more) as stored, eval_resume.hint(stored, args.out):
        for suite in suites:
            solved = sum(episode.success for episode in kept.get(suite, ()))

            def ended(done: int, total: int, episode: Episode, suite: str = suite) -> None:
                nonlocal solved
                solved += episode.success
                # Stored as they end, so that an evaluation that is stopped leaves what it has seen.
                stored.add_episodes(suite, [episode])
                # A count, not a rate: solved episodes end first.
                progress(solved=solved)

            with common.tokens_of(stored, suite, wanted=args.tokens) as keep:
                results[suite] = evaluate(
                    player, cell, suite, progress=ended, keep=keep, stored=kept.get(suite, ()), **settings
                )
            if results[suite].asked_once:
                stored.put_episodes(f"{suite}-{ASKED_ONCE}", results[suite].asked_once)
        document = {
            "cell": cell,
            "player": player.name,
            "seed": args.seed,
            "run": str(stored.path),
            "suites": {suite: result.to_dict() for suite, result in results.items()},
        }
        if steps := climb(results):
            document["ladder"] = [step.to_dict() for step in steps]
        write_json(stored.path / "results.json", document)
    common.say_notes(player)
    return document, results


def _of_several(row: eval_rows.Row, document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A row's part of the document of several."""
    chosen = {"chosen_on_dev": dict(row.dev)} if row.dev else {}
    found = {key: document[key] for key in ("player", "run", "suites", "ladder") if key in document}
    return found | {"temperature": row.temperature, **chosen, "changes": changes}


def _changes(
    rows: Sequence[eval_rows.Row], results: Sequence[Mapping[str, SuiteResult]], number: int, suites: Sequence[str]
) -> dict[str, Any]:
    """What changed by suite, deal by deal, from the row that a row is compared with; empty for the first."""
    place = eval_rows.compared_with(rows, number)
    if place is None:
        return {}
    reference = {"player": rows[place].player, "temperature": rows[place].temperature}
    return {
        suite: _change(results[place][suite], results[number][suite]) | {"reference": reference} for suite in suites
    }


def _change(before: SuiteResult, after: SuiteResult) -> dict[str, Any]:
    """What changed from one player to another, deal by deal."""
    from labkit.evaluation import paired
    from labkit.evaluation.games import measures_of
    from labkit.evaluation.metrics import plain

    weights = measures_of(before.cell).deal_weights(before.episodes) if before.every_hand else None
    change = plain(paired.difference(before.episodes, after.episodes, weights=weights))
    test = paired.test(before.episodes, after.episodes, weights=weights)
    return {"metric": before.metric, **change, "p": test.p, "test": test.method}
