"""Judge answers: JSON lines in, one verdict a line out, in order, in constant memory.

examples:
  labkit verify gp-l < answers.jsonl > verdicts.jsonl
  echo '{"cards": ["3","3","8","8"], "answer": "{\\"formula\\": \\"8/(3-8/3)=24\\"}"}' | labkit verify gp-l

in   {"cards": ["3", "3", "8", "8"], "faces": "ten", "target": 24, "answer": "what the model wrote"}
     faces: ten (default), eleven-twelve-thirteen, or numbers such as {"J": 5, "Q": 5, "K": 5}
     on gp-vl the answer must also name the dealt cards
     on virl-l and virl-vl:
     {"action": "turn_direction(north)", "observation": "what is to be seen", "actions": "absolute", "answer":
     "..."} actions: absolute (default) or relative; action: the right one
     in a game of your own: the settings of its tasks, and "answer"
out  {"success": false, "category": "wrong_value", "reward": -1.0, "feedback": "..."}
     {"error": "..."} for a line that cannot be judged

The status is 1 if there were lines and none of them could be judged.
"""

from __future__ import annotations

import argparse
import json
import sys

from labkit.commands.common import add_cell, add_json, cell_of


def configure(parser: argparse.ArgumentParser) -> None:
    add_cell(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.envs.lines import judge_of, lines, verdict

    judge = judge_of(cell_of(args.cell))
    written: list[str] = []
    count = judged = 0
    for line in lines(sys.stdin.buffer):
        if line is None:
            # No more can be read for now: who waits for these verdicts gets them.
            print("".join(written), end="", flush=True)
            written.clear()
            continue
        found = verdict(line, judge)
        judged += "error" not in found
        text = json.dumps(found)
        written.append(f"{',' if count else '['}\n{text}" if args.json else f"{text}\n")
        count += 1
    if args.json:
        written.append("\n]\n" if count else "[]\n")
    print("".join(written), end="")
    return 1 if count and not judged else 0
