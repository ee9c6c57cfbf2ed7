"""Choose the presets of the app's tabs from stored episodes, and bundle the episodes that they show.

    python scripts/presets.py FOLDER [CELL ...]

FOLDER holds the episodes, a file a cell; what is missing there is played first: the bundled Init, SFT and RL of each
cell, at the temperature in TEMPERATURES, each deal under both rules. Run it again, in an empty folder, whenever the
bundled players of a cell change, and ``scripts/story.py`` after it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from app.general_points import presets
from app.shared.catalogue import STAGES
from app.shared.claims import Outcome, outcome
from app.shared.recordings import BUNDLED
from app.virl import presets as virl
from app.virl.settings import VIRLSettings, routes_of
from labkit import envs
from labkit.envs.general_points.cards import FACES, numbers_of
from labkit.envs.general_points.solver import solve
from labkit.envs.general_points.thoughts import told_tries
from labkit.envs.virl.city.cities import CITIES
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode, Task
from labkit.play import play_many
from labkit.players import registry

TITLES = dict(zip(STAGES, ("Init", "SFT", "RL"), strict=True))
TRAINED, CHANGED = FACES
TEMPERATURES = {"gp-l": 0.6, "virl-l": 0.0}
"""GeneralPoints' players search. Greedily they make the tries that missed again, and solve far fewer hands."""
HANDS = 24
"""Hands of each sort that a preset is chosen from; of dev, since test is for reports."""
Outcomes = dict[str, Outcome]


def hands() -> list[Task]:
    """Held-out hands with and without a face card, and hands without a solution, under both rules."""
    game = envs.game("gp-l")
    dealt = [*islice(game.tasks("rule-ood", "dev", seed=0), HANDS), *islice(game.tasks("id", "dev", seed=0), HANDS)]
    cards = dict.fromkeys(tuple(rank for rank, _ in task.deal["cards"]) for task in dealt)
    cards |= dict.fromkeys([("A", "A", "A", "A"), ("A", "A", "K", "K"), ("J", "Q", "K", "A"), ("9", "9", "9", "J")])
    return [game.task(hand=list(ranks), faces=rule) for ranks in cards for rule in FACES]


def routes() -> list[Task]:
    """All routes that the app offers, under both rules."""
    offered = [(city, route) for city in CITIES for route in routes_of(city)]
    return [VIRLSettings(city=city, route=route, actions=rule).task for city, route in offered for rule in ACTIONS]


def played(cell: str, tasks: Sequence[Task], file: Path) -> dict[str, list[Episode]]:
    """The episodes of a cell's players, in the order of the tasks; read from the file if it is there."""
    if not file.is_file():
        with file.open("w", encoding="utf-8") as lines:
            for stage in STAGES:
                player = registry.load(f"tiny:{cell}/{stage}", temperature=TEMPERATURES[cell])
                # All in the first place, so that each task is played as the app plays it with seed 0.
                done = play_many(tasks, player, places=repeat(0))
                lines.writelines(f"{played.episode.to_json()}\n" for played in done)
                print(f"{cell}: {stage} played {len(tasks)} tasks")
    by_player: dict[str, dict[str, Episode]] = {f"tiny:{cell}/{stage}": {} for stage in STAGES}
    for line in file.read_text(encoding="utf-8").splitlines():
        episode = Episode.from_json(line)
        by_player[episode.player][episode.task.id] = episode
    return {title: [by_player[f"tiny:{cell}/{stage}"][task.id] for task in tasks] for stage, title in TITLES.items()}


def misses(episode: Episode) -> int:
    """Tries that missed in the thought of the first answer."""
    thought = episode.attempts[0].fields.get("thought")
    return sum(missed for _, missed in told_tries(thought)) if isinstance(thought, str) else 0


def first(choices: Iterable[int], *criteria: Callable[[int], bool]) -> int:
    """The first choice that meets the first criterion that any of them meets; without one, the first choice."""
    choices = list(choices)
    met = (index for wanted in criteria for index in choices if wanted(index))
    return next(met, choices[0])


def general_points(folder: Path) -> None:
    """Choose the hands of the GeneralPoints tab."""
    tasks = hands()
    episodes = played("gp-l", tasks, folder / "gp-l.jsonl")
    ranks = [[rank for rank, _ in task.deal["cards"]] for task in tasks]
    ways = [{rule: len(list(solve(numbers_of(r, rule)))) for rule in FACES} for r in ranks]
    done: list[Outcomes] = [{name: outcome(e[i]) for name, e in episodes.items()} for i in range(len(tasks))]
    faces = [bool(set("JQK") & set(r)) for r in ranks]
    old = [i for i, task in enumerate(tasks) if task.rule["faces"] == TRAINED]
    new = [i for i, task in enumerate(tasks) if task.rule["faces"] == CHANGED and faces[i] and all(ways[i].values())]
    solved: Callable[[int, str], bool] = lambda i, name: done[i][name].success  # noqa: E731
    chosen = {
        "changed-rule": first(
            new,
            lambda i: solved(i, "RL") and not solved(i, "SFT") and done[i]["SFT"].kept and solved(i - 1, "SFT"),
            lambda i: solved(i, "RL") and not solved(i, "SFT"),
            lambda i: not solved(i, "SFT") and done[i]["SFT"].kept,
        ),
        "easy": first(
            [i for i in old if ways[i][TRAINED] > 3],
            lambda i: all(o.success and o.attempts == 1 for o in done[i].values()),
            lambda i: all(o.success for o in done[i].values()),
            lambda i: any(o.success for o in done[i].values()),
        ),
        "feedback": first(
            new,
            lambda i: solved(i, "RL") and done[i]["RL"].attempts > 1 and done[i]["RL"].attempts < 4,
            lambda i: any(o.success and o.attempts > 1 for o in done[i].values()),
        ),
        "face-cards": first(
            [i for i in old if ways[i][TRAINED] and not ways[i][CHANGED]],
            lambda i: solved(i, "SFT") and solved(i, "RL"),
            lambda i: any(o.success for o in done[i].values()),
        ),
        "search": first(
            [i for i in new if done[i]["RL"].success and done[i]["RL"].attempts == 1],
            lambda i: misses(episodes["RL"][i]) > 1 and not solved(i, "SFT"),
            lambda i: misses(episodes["RL"][i]) > 0,
        ),
        "same": first(
            [i for i in old if not faces[i] and ways[i][TRAINED]],
            lambda i: solved(i, "RL") and not solved(i, "SFT"),
            lambda i: solved(i, "RL"),
        ),
        "no-solution": first(i for i in old if not any(ways[i].values())),
    }
    kept = [i for i in new if done[i]["SFT"].kept and not solved(i, "SFT")]
    if kept:
        chosen["kept-rule"] = first(kept, lambda i: solved(i - 1, "SFT"))
    rows = [
        {
            "kind": kind,
            "cards": " ".join(ranks[chosen[kind]]),
            "rule": tasks[chosen[kind]].rule["faces"],
            "ways": ways[chosen[kind]],
            "outcomes": {name: o._asdict() for name, o in done[chosen[kind]].items()},
        }
        for kind in presets.KINDS
        if kind in chosen
    ]
    write(
        Path(presets.__file__).with_name("presets.json"), "gp-l", {"temperature": TEMPERATURES["gp-l"], "presets": rows}
    )
    # The first hand under the other rule as well: changing the rule shows at once what changes.
    shown = [*chosen.values(), chosen["changed-rule"] - 1]
    bundle("gp-l", [e[i] for i in dict.fromkeys(shown) for e in episodes.values()])


def streets(folder: Path) -> None:
    """Choose the route of the V-IRL tab, and count over all routes."""
    tasks = routes()
    episodes = played("virl-l", tasks, folder / "virl-l.jsonl")
    done: list[Outcomes] = [{name: outcome(e[i]) for name, e in episodes.items()} for i in range(len(tasks))]
    pairs = range(0, len(tasks), 2)

    def right(i: int, name: str) -> bool:
        return done[i][name].success

    picked = first(
        pairs,
        lambda i: (
            right(i, "SFT")
            and right(i, "RL")
            and right(i + 1, "RL")
            and not right(i + 1, "SFT")
            and done[i + 1]["SFT"].kept
        ),
        lambda i: right(i, "RL") and right(i + 1, "RL") and not right(i + 1, "SFT") and done[i + 1]["SFT"].kept,
        lambda i: right(i + 1, "RL") and not right(i + 1, "SFT"),
        lambda i: right(i, "RL") and not right(i + 1, "SFT"),
    )
    arrived = {
        rule: {name: [sum(right(i + n, name) for i in pairs), len(pairs)] for name in episodes}
        for n, rule in enumerate(ACTIONS)
    }
    rows: dict[str, Any] = {
        "route": f"{tasks[picked].deal['route']['id']}",
        "outcomes": {
            rule: {name: o._asdict() for name, o in done[picked + n].items()} for n, rule in enumerate(ACTIONS)
        },
        "arrived": arrived,
    }
    write(Path(virl.__file__).with_name("presets.json"), "virl-l", rows)
    bundle("virl-l", [e[i] for i in (picked, picked + 1) for e in episodes.values()])


def write(file: Path, cell: str, rows: dict[str, Any]) -> None:
    players = {title: f"tiny:{cell}/{stage}" for stage, title in TITLES.items()}
    file.write_text(json.dumps({"players": players, **rows}, indent=1) + "\n", encoding="utf-8")
    print(file.read_text(encoding="utf-8"))


def bundle(cell: str, episodes: Iterable[Episode]) -> None:
    """Put the episodes that the tab shows before anything is played into the package."""
    file = Path(str(BUNDLED)) / cell / "recorded.jsonl"
    file.write_text("".join(f"{episode.to_json()}\n" for episode in episodes), encoding="utf-8")
    print(f"{file.stat().st_size / 1024:.0f} KB in {file}")


CHOOSE = {"gp-l": general_points, "virl-l": streets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the episodes are, or are put")
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"of {', '.join(CHOOSE)}; all, if none is named")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for cell in args.cells or CHOOSE:
        CHOOSE[cell](args.folder)


if __name__ == "__main__":
    main()
