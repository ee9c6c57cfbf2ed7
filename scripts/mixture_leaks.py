"""Search all documents of a pre-training run for what it must not know; exits 1 if there is any.

    python scripts/mixture_leaks.py configs/models/tiny.yaml [--steps 200]

A document leaks if four numbers make 24 in it, as a formula or step by step in a thought; if it holds the rule J=11,
Q=12, K=13; or if it holds the prompt of a game as the game words it. The texts are read here by themselves, without the
code that writes them.
"""

from __future__ import annotations

import argparse
import ast
import operator
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import yaml

from labkit.envs.general_points import prompts as card_prompts
from labkit.envs.virl import prompts as street_prompts
from labkit.models.chat import Dialogue
from labkit.training.sft import mixture
from labkit.training.sft.pretrain import _TOKENIZER_DOCUMENTS

_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_FORMULA = re.compile(r"[\d(][\d()+*/-]*[\d)]")
_RULE = re.compile(r"J\D{1,12}11\b\D{1,12}Q\D{1,12}12\b\D{1,12}K\D{1,12}13\b")
_OWN = [card_prompts.DEFAULT["task"].split("{count}")[1].split("{")[0], street_prompts.DEFAULT["task"]]


def leaks(document: Dialogue) -> Iterator[str]:
    """What leaks in a document."""
    for message in document.messages:
        if _RULE.search(message.text):
            yield f"rule 11-12-13: {message.text}"
        if any(words in message.text for words in _OWN):
            yield f"a game's own prompt: {message.text}"
        if message.role != "assistant":
            continue
        for found in _FORMULA.findall(message.text):
            if len(re.findall(r"\d+", found)) == 4 and value(found) == 24:
                yield f"four numbers make 24: {found}"
        for steps in tries(message.text):
            if len(steps) == 3 and steps[-1].endswith("=24"):
                yield f"four numbers make 24: {'; '.join(steps)}"


def value(formula: str) -> Fraction | None:
    """What a formula equals; None if it is none, or divides by zero."""
    try:
        return _value(ast.parse(formula, mode="eval").body)
    except (SyntaxError, KeyError, ZeroDivisionError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.BinOp(left=left, op=operation, right=right):
            return _OPERATIONS[type(operation)](_value(left), _value(right))
    raise SyntaxError("neither a number nor an operation on two")


def tries(text: str) -> Iterator[list[str]]:
    """The steps of each try of a thought, from all numbers on: ``["10-9=1", "8*1=8", "3*8=24"]``."""
    path: list[tuple[str, str]] = []
    ended = False
    for part in re.split(r"; |\n|\"", text):
        step = re.fullmatch(r"(\d+[-+*/]\d+=\d+)(?:: ([\d ]+))?( no)?", part)
        if part.startswith("back to "):
            while path and path[-1][1] != part.removeprefix("back to "):
                path.pop()
            ended = False
        elif step:
            path = [*([] if ended else path), (step[1], step[2] or "")]
            ended = step[2] is None
            if ended:
                yield [told for told, _ in path]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int, help="only the first steps (default: all of the config's)")
    options = parser.parse_args()
    config = yaml.safe_load(options.config.read_text())
    steps = options.steps or config["steps"]
    found = documents = 0
    for step in range(-1, steps):
        # Step -1 holds the documents that the tokenizer is trained on.
        count = _TOKENIZER_DOCUMENTS if step < 0 else config["batch_size"]
        for document in mixture.documents(config["seed"], step, count):
            documents += 1
            for leak in leaks(document):
                found += 1
                print(f"step {step}: {leak}")
    print(f"documents: {documents:,}, leaks: {found}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
