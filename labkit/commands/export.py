"""Write data for other programs to a file.

examples:
  labkit export data gp-l --episodes 5000 --out gp-l.jsonl                      chat messages, one record a line
  labkit export data virl-l --episodes 500 --format llava --out virl-l.json     the authors' layout
  labkit export data gp-l --mistakes 4 --out revised.jsonl                      wrong answers and feedback first

The expert's dialogues, the same as `labkit train` deals; `data:` of a fine-tuning config reads them back.
"""

from __future__ import annotations

import argparse

from labkit.commands import common

KINDS = ("data",)
FORMATS = ("messages", "llava")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="data: the expert's dialogues, for fine-tuning")
    common.add_cell(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help="the file to write")
    parser.add_argument("--format", metavar="F", default="messages", help=f"{' or '.join(FORMATS)} (default: messages)")
    parser.add_argument("--episodes", type=common.count, default=1000, metavar="N", help="dialogues (default: 1000)")
    parser.add_argument("--suite", default="id", help="whose rule is asked (default: id)")
    parser.add_argument("--split", default="train", help="what is dealt (default: train)")
    parser.add_argument("--seed", type=int, default=0, help="of the deals (default: 0)")
    parser.add_argument(
        "--solutions",
        type=common.count,
        default=2,
        metavar="N",
        help="each answer is one of this many simplest (default: 2)",
    )
    parser.add_argument(
        "--mistakes",
        type=_whole,
        default=0,
        metavar="N",
        help="up to this many wrong answers, with feedback, come before the right one (default: 0)",
    )
    parser.add_argument(
        "--prompts",
        type=common.count,
        default=1,
        metavar="N",
        help="how many variants of the prompt there are (default: 1)",
    )
    common.add_json(parser)


def _whole(text: str) -> int:
    """A whole number from 0, as an option's type."""
    return 0 if text == "0" else common.count(text)


def run(args: argparse.Namespace) -> int:
    from labkit.training.sft.data import expert_dialogues, write

    common.known("kind of export", args.kind, KINDS)
    layout = common.known("format", args.format, FORMATS)
    cell = common.cell_of(args.cell)
    dialogues = expert_dialogues(
        cell,
        args.episodes,
        suite=common.suite_of(cell, args.suite),
        split=common.split_of(cell, args.split),
        seed=args.seed,
        solutions=args.solutions,
        mistakes=args.mistakes,
        prompts=args.prompts,
    )
    write(args.out, dialogues, layout)
    if args.json:
        answers = sum(len(d.trained_turns) for d in dialogues)
        common.emit({"file": args.out, "format": layout, "dialogues": len(dialogues), "answers": answers})
    else:
        print(args.out)
    return 0
