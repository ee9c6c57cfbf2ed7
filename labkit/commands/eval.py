"""Evaluate a player on the suites of a cell.

examples:
  labkit eval gp-l --player expert --episodes 100
  labkit eval gp-l --player tiny:gp-l/init --suite id,rule-ood --split test --episodes all
  labkit eval gp-l --player run:20261121-101502-sft-gp-l@400 --json > results.json

--episodes N plays N seeded deals, the same for every player; all plays every hand once, in one seeded order
of its cards, weighted by how often a deck deals it. Success is success within --attempts; the table also
shows it for fewer attempts. Episodes and results are stored as a run (see `labkit runs`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from labkit.commands import common, games

if TYPE_CHECKING:
    from labkit.episode import Episode
    from labkit.evaluation import SuiteResult
    from labkit.players import Player
    from labkit.runs import Run


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help=common.CELL_HELP)
    parser.add_argument("--player", metavar="P", required=True, help="who plays (see `labkit players`)")
    parser.add_argument(
        "--suite", metavar="S,S", help="one or more of id, rule-ood and (pictures) visual-ood; default: all"
    )
    parser.add_argument(
        "--split", default="all", help="part of the suites: all (default), train, dev, test or (cards) unseen"
    )
    parser.add_argument(
        "--episodes", metavar="N|all", type=_episodes, default=500, help="deals of each suite (default: 500)"
    )
    parser.add_argument(
        "--attempts",
        type=int,
        metavar="N",
        help="answers allowed at a position (default: 5 with cards, 2 in streets)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the deals and of sampling (default: 0)")
    parser.add_argument(
        "--batch",
        type=common.count,
        metavar="N",
        default=64,
        help="episodes played side by side (default: 64)",
    )
    parser.add_argument("--prompts", metavar="FILE", help="YAML or JSON with other prompt templates")
    games.add_options(parser, naming=False)
    common.add_player_options(parser)
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.envs import game
    from labkit.players.simple import Script
    from labkit.runs.store import write_json

    cell = common.cell_of(args.cell)
    suites = args.suite.split(",") if args.suite else game(cell).suites
    suites = list(dict.fromkeys(common.suite_of(cell, name.strip()) for name in suites))
    common.split_of(cell, args.split)
    settings = games.settings(args, cell) | {n: getattr(args, n) for n in ("split", "episodes", "seed")}
    for suite in suites:
        _check(cell, suite, settings)
    player = common.load_player(args)
    # A script's answers are in the order of the episodes; side by side these would take each other's.
    settings["batch"] = 1 if isinstance(player, Script) else args.batch
    with common.stored(args, f"eval-{cell}", player=player.name) as stored:
        results = {suite: _evaluate(player, cell, suite, settings, stored) for suite in suites}
        document = {
            "cell": cell,
            "player": player.name,
            "seed": args.seed,
            "run": str(stored.path),
            "suites": {suite: result.to_dict() for suite, result in results.items()},
        }
        write_json(stored.path / "results.json", document)
    if args.json:
        common.emit(document)
    else:
        print(report(results.values()))
    common.say(f"stored in {stored.path}")
    return 0


def _episodes(text: str) -> int | str:
    return text if text == "all" else common.count(text)


def _check(cell: str, suite: str, settings: dict[str, Any]) -> None:
    """Deal one hand, so that an impossible setting is told before a model is loaded and a run is made."""
    from labkit.envs import game

    chosen = {k: v for k, v in settings.items() if k not in ("split", "episodes")}
    next(game(cell).tasks(suite, settings["split"], **chosen))


def _evaluate(player: Player, cell: str, suite: str, settings: dict[str, Any], stored: Run) -> SuiteResult:
    from tqdm import tqdm

    from labkit.evaluation import evaluate

    solved = 0
    with tqdm(desc=f"{cell} {suite}", unit=" episodes", dynamic_ncols=True, mininterval=0.5) as bar:

        def progress(done: int, total: int, episode: Episode) -> None:
            nonlocal solved
            solved += episode.success
            # Stored as they end, so that an evaluation that is stopped leaves what it has seen.
            stored.add_episodes(suite, [episode])
            bar.total = total
            bar.set_postfix(solved=solved, refresh=False)
            bar.update(done - bar.n)

        return evaluate(player, cell, suite, progress=progress, **settings)


def report(results: Any) -> str:
    """The results as text: the headline with its interval, by split, and what lies behind it."""
    return "\n\n".join(map(_suite_report, results))


def _suite_report(result: SuiteResult) -> str:
    from labkit.evaluation import Estimate

    d = result.details
    every = {"gp": "every hand once, weighted by the deck", "virl": "every route once"}
    hands = every[result.cell.partition("-")[0]] if result.every_hand else f"seed {result.seed}"
    rows: list[tuple[str, Any]] = [(f"success within {k}", e) for k, e in d["within"].items()]
    if result.metric != "success":
        rows.insert(0, (result.metric.replace("_", " "), Estimate(result.value, result.n, result.ci95)))
    if len(result.splits) > 1:
        rows += [(f"  split {name}", e) for name, e in result.splits.items()]
    names = {
        "legal": "answers with a legal formula",
        "valid": "  and each card used once",
        "number_right": "numbers translated rightly",
        "kept_old_rule": "first answer by the other rule",
        "recognition": "cards recognised",
        "formula_success": "a formula right for the cards",
        "per_step_accuracy": "answers that are right",
        "turn_accuracy": "  at turns",
        "other_accuracy": "  elsewhere",
        "route_success": "routes walked to the end",
        "steps_before_failure": "steps before a failure (mean)",
        "landmark_right": "landmarks recognised",
        "intersection_right": "intersections recognised",
        "attempts_to_success": "attempts to success (mean)",
        "truncated": "answers cut off",
    }
    rows += [(label, d[name]) for name, label in names.items() if name in d]
    lines = [
        f"{result.cell} {result.suite}: {common.printable(result.player)}, split {result.split}, {hands}",
        common.table((_row(label, e) for label, e in rows), ("metric", "value", "95% interval", "n")),
        "first verdicts: " + ", ".join(f"{name} {count}" for name, count in d["categories"].items()),
    ]
    if d["tags"]:
        lines.append("tags: " + ", ".join(f"{tag} {count}" for tag, count in d["tags"].items()))
    if "solutions" in d:
        found = d["solutions"]
        lines.append(f"solutions: {found['right']} right answers, {found['distinct']} distinct")
    if "tokens" in d:
        lines.append(f"tokens of an answer: {d['tokens']:.1f} (mean)")
    return "\n".join(lines)


def _row(label: str, estimate: Any) -> dict[str, Any]:
    interval = "[{:.3f}, {:.3f}]".format(*estimate.ci95) if estimate.ci95 else None
    return {"metric": label, "value": estimate.value, "95% interval": interval, "n": estimate.n}
