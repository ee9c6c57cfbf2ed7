"""Put a checkpoint of a run into the package, with a card of what it is and what it scores.

    python scripts/bundle.py [--half] RUN[@STEP] NAME "one line about it"

Without a STEP it is the last one. With ``--half`` the weights are kept in float16, half as large.

NAME is the player's name without ``tiny:`` (``base``, ``gp-l/init``, ``gp-l/sft@200``). The card's figures are measured
here with the weights as they are kept, on deals fixed beforehand (seed 0; 200 hands or routes of each suite),
greedily and sampled at the cell's temperature; ``card.json`` holds them, ``README.md`` says them in words.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors.torch import load_file, save

from labkit.counting import counted
from labkit.errors import UsageError
from labkit.evaluation import evaluate
from labkit.players.registry import BUNDLED, load
from labkit.runs import Run, find
from labkit.training.common.card import metadata

KEPT = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja")  # fmt: skip
TOLD = ("metric", "value", "n", "ci95", "attempts", "within", "splits")
"""What a card says of a suite in every cell."""


class Columns(NamedTuple):
    """What a card says of a cell, and how it is measured."""

    deals: str
    """``{n}`` is the number of the headline."""
    played: dict[str, Any]
    """Arguments of :func:`labkit.evaluation.evaluate`."""
    headings: dict[str, str]
    """Measures besides the headline, and the headings of their columns."""
    temperature: float
    """Of the sampled answers: the one at which the cell's results are told."""
    attempts: dict[str, str]
    """Numbers of attempts within which the headline is told, and their headings; if none, the headline alone."""


CARDS = {
    "gp-l": Columns(
        "{n} deals of each suite, as a deck deals them",
        {"episodes": 200},
        {"number_right": "numbers read rightly", "kept_old_rule": "kept the old rule", "legal": "legal formulas"},
        0.6,
        {"1": "one attempt", "5": "five attempts"},
    ),
    "virl-l": Columns(
        "200 routes of each suite, of the split test",
        {"episodes": 200, "split": "test"},
        {
            "turn_accuracy": "turns",
            "other_accuracy": "other steps",
            "route_success": "whole routes",
            "kept_old_rule": "kept the old rule",
            "landmark_right": "landmark stated rightly",
        },
        1.0,
        {},
    ),
}


def check(run: Run, source: Path) -> None:
    """See that a card can be written before the old player is removed.

    Raises:
        UsageError: the cell has no row in CARDS, or the checkpoint lacks a file.
    """
    cell = run.config.get("cell")
    if cell is not None and cell not in CARDS:
        raise UsageError(f"no card is described for {cell}; add its row to CARDS in scripts/bundle.py")
    lacking = [name for name in KEPT if not (source / name).is_file()]
    if lacking:
        raise UsageError(f"{source} has no {', no '.join(lacking)}")


def card_of(run: Run, step: int, name: str, summary: str) -> dict[str, Any]:
    """Where the checkpoint comes from."""
    metrics, environment = run.metrics(), json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
    metrics = [m for m in metrics if m["step"] <= step]
    last = metrics[-1]
    return {
        "player": f"tiny:{name}",
        "summary": summary,
        "config": run.config,
        "run": run.id,
        "steps": last["step"],
        "trained_tokens": last["trained_tokens"],
        "training_flops": last["flops"],
        "seconds": round(sum(m.get("seconds", 0) for m in metrics)),
        **({"loss": last["loss"]} if run.config["stage"] != "rl" else {}),
        "machine": {k: environment[k] for k in ("platform", "cpus", "python", "packages")},
    }


def measured(name: str, cell: str, temperature: float = 0.0) -> dict[str, Any]:
    """The headline number by suite, split and number of attempts, and the cell's own figures."""
    player = load(f"tiny:{name}", device="cpu", temperature=temperature)
    results = {}
    for suite in ("id", "rule-ood"):
        result = evaluate(player, cell, suite, seed=0, **CARDS[cell].played).to_dict()
        results[suite] = {k: result[k] for k in (*TOLD, *CARDS[cell].headings)}
    return results


def readme(card: dict[str, Any]) -> str:
    """The card in words."""
    config, shape = card["config"], f"{card['parameters'] / 1e6:.2f} million parameters"
    lines = [
        "---",
        *yaml.safe_dump({"license": "apache-2.0", **metadata(config)}, sort_keys=False).splitlines(),
        "---",
        "",
        f"# {card['player']}",
        "",
        f"{card['summary']} A Llama with {shape}, trained from nothing by labkit; Apache-2.0.",
        "",
        f"* Stage `{config['stage']}`, {_length(config, card['steps'])}, seed {config['seed']}: "
        f"{card['trained_tokens'] / 1e6:.1f} million tokens, {card['training_flops'] / 1e12:.1f} TFLOP, "
        f"{card['seconds'] / 60:.1f} minutes on a machine with {counted(card['machine']['cpus'], 'CPU core')}.",
        f"* Starts from {'`' + config['model'] + '`' if 'model' in config else 'random weights'}.",
        *([f"* Last loss {card['loss']:.3f}."] if "loss" in card else []),
        "",
    ]
    if "results" not in card:
        return "\n".join(lines)
    cell = config["cell"]
    deals = CARDS[cell].deals.format(n=card["results"]["id"]["n"])
    lines += [f"Greedy answers on {deals} (seed 0), with 95% intervals:", ""]
    lines += _tables(cell, card["results"])
    lines += ["", f"Answers sampled at temperature {card['temperature']:g}, on the same deals:", ""]
    lines += _tables(cell, card["sampled"])
    return "\n".join([*lines, ""])


def _length(config: dict[str, Any], steps: int) -> str:
    if config["stage"] == "rl":
        return f"{steps:,} of {counted(config['updates'], 'update')} of {counted(config['episodes'], 'episode')}"
    return f"{steps:,} of {counted(config['steps'], 'step')} of {counted(config['batch_size'], 'dialogue')}"


def _tables(cell: str, results: dict[str, Any]) -> list[str]:
    lines = []
    headline = next(iter(results.values()))["metric"].replace("_", " ")
    columns = {words: (lambda r, n=n: r["within"][n]) for n, words in CARDS[cell].attempts.items()}
    columns = columns or {headline: lambda r: r}
    columns |= {words: (lambda r, key=key: r[key]) for key, words in CARDS[cell].headings.items()}
    lines += ["| suite | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for suite, result in results.items():
        lines.append(f"| `{suite}` | " + " | ".join(_rate(of(result)) for of in columns.values()) + " |")
    if CARDS[cell].attempts:
        lines += [
            "",
            f"{list(CARDS[cell].attempts.values())[-1].capitalize()}, by split of the hands:",
            "",
            "| suite | split | success | n |",
            "|---|---|---|---|",
        ]
        for suite, result in results.items():
            lines += [f"| `{suite}` | `{s}` | {_rate(r)} | {r['n']} |" for s, r in result["splits"].items()]
    return lines


def _rate(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return ""
    low, high = figure["ci95"]
    return f"{figure['value']:.1%} [{low:.1%}, {high:.1%}]"


def halve(weights: Path) -> None:
    """Keep a file of weights in float16."""
    # Not by save_file: its files are readable by their owner only.
    weights.write_bytes(save({key: tensor.half() for key, tensor in load_file(weights).items()}, {"format": "pt"}))


def main(run_id: str, name: str, summary: str, *, half: bool = False) -> None:
    run_id, _, step = run_id.partition("@")
    run = find(run_id)
    source = run.checkpoint(int(step)) if step else list(run.checkpoints().values())[-1]
    check(run, source)
    target = BUNDLED / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in KEPT:
        shutil.copyfile(source / file, target / file)
    if half:
        halve(target / "model.safetensors")
    card = card_of(run, int(source.name.removeprefix("step-")), name, summary)
    card["parameters"] = load(f"tiny:{name}", device="cpu").bundle.parameters
    if "cell" in run.config:
        card["results"] = measured(name, run.config["cell"])
        card["temperature"] = CARDS[run.config["cell"]].temperature
        card["sampled"] = measured(name, run.config["cell"], temperature=card["temperature"])
    (target / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (target / "README.md").write_text(readme(card), encoding="utf-8")
    print(readme(card))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--half"]
    if len(words) != 3:
        sys.exit(__doc__)
    try:
        main(*words, half="--half" in sys.argv)
    except UsageError as error:
        sys.exit(f"bundle: {error}")
