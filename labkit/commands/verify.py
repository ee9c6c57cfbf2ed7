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
out  {"success": false, "category": "wrong_value", "reward": -1.0, "feedback": "..."}
     {"error": "..."} for a line that cannot be judged
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from labkit.commands.common import CELL_HELP, add_json, cell_of
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Verdict

MAX_LINE = 1 << 24
"""Longest line that is read, in bytes; of a longer one only the length is kept."""
CHUNK = 1 << 16
MAX_ERROR = 300
"""Longest error message, in characters."""

Judge = Callable[[Mapping[str, Any]], dict[str, Any]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help=CELL_HELP)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    cell = cell_of(args.cell)
    judge = virl() if cell.startswith("virl-") else general_points(picture=cell == "gp-vl")
    said: list[str] = []
    count = 0
    for line in lines(sys.stdin.buffer):
        if line is None:
            # Nothing more to read for now: whoever waits for these verdicts gets them.
            print("".join(said), end="", flush=True)
            said.clear()
            continue
        text = json.dumps(verdict(line, judge))
        said.append(f"{',' if count else '['}\n{text}" if args.json else f"{text}\n")
        count += 1
    if args.json:
        said.append("\n]\n" if count else "[]\n")
    print("".join(said), end="")
    return 0


def lines(source: BinaryIO) -> Iterator[bytes | UsageError | None]:
    """The lines of a stream without their ends, and None each time before it is waited for.

    A line over :data:`MAX_LINE` comes as the error it is, and takes no more memory than a chunk.
    """
    held: list[bytes] = []
    length = 0
    while True:
        yield None
        # Not readline: it waits for a whole line, so what is ready could not be answered first.
        chunk = source.read1(CHUNK)
        if not chunk:
            break
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield _line([*held, end], length + len(end))
            held, length = [], 0
        length += len(rest)
        if length <= MAX_LINE:
            held.append(rest)
        else:
            held.clear()
    if length:
        yield _line(held, length)


def _line(parts: list[bytes], length: int) -> bytes | UsageError:
    if length > MAX_LINE:
        return UsageError(f"the line has {length:,} bytes; the most is {MAX_LINE:,}")
    return b"".join(parts)


def verdict(line: bytes | UsageError, judge: Judge) -> dict[str, Any]:
    """What is written for a line; never raises for any line."""
    try:
        if isinstance(line, UsageError):
            raise line
        return judge(_entry(line))
    except UsageError as error:
        # What is wrong may be megabytes long, and the message quotes it.
        return {"error": str(error)[:MAX_ERROR]}


def _entry(line: bytes) -> Mapping[str, Any]:
    try:
        entry = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"the line is not UTF-8 text (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"the line is not JSON: {error.msg} (character {error.pos + 1})") from None
    except (ValueError, RecursionError):
        raise UsageError("the line is not JSON that can be read: its numbers or its nesting are too large") from None
    if not isinstance(entry, dict):
        raise UsageError("the line is not a JSON object")
    return entry


def general_points(*, picture: bool) -> Judge:
    """Judges entries of GeneralPoints; with ``picture`` the cards must be named too."""
    from labkit.envs.general_points import cards, verifier

    def judge(entry: Mapping[str, Any]) -> dict[str, Any]:
        for name in ("cards", "answer"):
            if name not in entry:
                raise UsageError(f'the key "{name}" is missing')
        hand, faces, answer = entry["cards"], entry.get("faces", "ten"), entry["answer"]
        if not isinstance(hand, list) or not all(isinstance(rank, str) for rank in hand):
            raise UsageError('"cards" is a list of ranks as text, such as ["3", "3", "8", "8"]')
        if not isinstance(faces, str | dict):
            raise UsageError('"faces" is the name of a rule or numbers such as {"J": 5, "Q": 5, "K": 5}')
        if not isinstance(answer, str):
            raise UsageError('"answer" is text: what the model wrote')
        ranks, target = cards.parse_ranks(" ".join(hand)), cards.check_target(entry.get("target", 24))
        said = verifier.verdict(verifier.read(answer), ranks, cards.face_values(faces), target, picture=picture)
        return _said(said)

    return judge


def virl() -> Judge:
    """Judges entries of V-IRL."""
    from labkit.envs.virl import headings, observation, verifier

    def judge(entry: Mapping[str, Any]) -> dict[str, Any]:
        for name in ("action", "observation", "answer"):
            if name not in entry:
                raise UsageError(f'the key "{name}" is missing')
            if not isinstance(entry[name], str):
                raise UsageError(f'"{name}" is text')
        actions = headings.check_actions(entry.get("actions", "absolute"))
        action = verifier.parse_action(entry["action"])
        if action is None or action.rule not in ("", actions):
            said = entry["action"]
            raise UsageError(f'"action" is one of the {actions} actions, such as forward(), not {said!r}')
        truth = verifier.Truth(action.text, actions, observation.seen(entry["observation"]))
        return _said(verifier.verdict(verifier.read(entry["answer"]), truth))

    return judge


def _said(verdict: Verdict) -> dict[str, Any]:
    return {
        "success": verdict.success,
        "category": verdict.category,
        "reward": verdict.reward,
        "feedback": verdict.feedback,
    }
