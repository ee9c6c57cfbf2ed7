"""Dialogues for fine-tuning: from a game's expert, or from a file.

Two layouts are read and written. ``messages``: one record a line, ``{"messages": [{"role": "user", "content": "..."},
...]}``. ``llava``, the layout of the paper's authors: a list of records ``{"id": "...", "conversations": [{"from":
"human", "value": "..."}, ...]}``. An assistant's turn with ``"weight": 0`` carries no loss, as in the fine-tuning
formats of OpenAI and Mistral.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from labkit.envs import fork, game, judge, prompt, start
from labkit.episode import Message, Task
from labkit.errors import UsageError
from labkit.models.chat import Dialogue

TrainOn = Literal["all", "last"]
"""The assistant turns that carry loss."""
FORMATS = ("messages", "llava")
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
_MESSAGES = {role: role for role in ("user", "assistant", "system")}
_LLAVA = {"user": "human", "assistant": "gpt", "system": "system"}
_PICTURES = ("image", "images", "video", "videos")


def expert_dialogues(
    cell: str,
    count: int,
    *,
    first: int = 0,
    suite: str = "id",
    split: str = "train",
    seed: int = 0,
    solutions: int = 2,
    mistakes: int = 0,
    prompts: int = 1,
    train_on: TrainOn = "all",
    thought: bool = False,
    picture: Mapping[str, Any] | None = None,
) -> list[Dialogue]:
    """Dialogues in which the expert answers; the same arguments give the same ones.

    Args:
        count, first: number of deals, and the number of the first one in the seed's stream.
        prompts: each deal has one of this many prompt variants; the first is the built-in one.
        solutions, mistakes, train_on, thought: see :func:`expert_dialogue`.
        picture: how the deals' pictures are drawn, in a cell that shows some.

    Raises:
        UsageError: no such cell, suite, split or number of prompt variants.
    """
    playing = game(cell)
    variants = [playing.prompt_variant(number) for number in range(prompts)] if prompts > 1 else [None]
    made = []
    shown: dict[str, Any] = {"picture": picture} if picture else {}
    for task in islice(playing.tasks(suite, split, seed=seed, first=first, attempts=mistakes + 1, **shown), count):
        # The key keeps its old name: with another one, the same config would deal other prompts.
        variant = random.Random(f"wording/{task.id}").choice(variants)
        made.append(expert_dialogue(replace(task, prompts=variant), solutions, mistakes, train_on, thought))
    return made


def expert_dialogue(
    task: Task, solutions: int = 1, mistakes: int = 0, train_on: TrainOn = "all", thought: bool = False
) -> Dialogue:
    """A prompt of the task and the expert's answer.

    All choices are a function of the deal, that of a position in a task with several included.

    Args:
        solutions: the answer is one of this many simplest solutions.
        mistakes: up to this many wrong answers with the verifier's feedback come first, each number equally likely.
        train_on: the answers that carry loss.
        thought: the expert thinks before its formula; steps that led to nothing carry no loss. ``solutions`` then
            changes nothing.

    Raises:
        UsageError: the game has no expert that thinks.
    """
    rng, playing = random.Random(f"expert/{task.id}"), game(task.cell)
    episode = start(task)
    while not episode.done:
        episode = judge(episode, playing.expert(episode, rng, solutions))
    at = rng.randrange(len(episode.positions))
    right = episode.positions[at].attempts[0].answer
    episode = fork(episode, 0, at)
    for _ in range(rng.randint(0, mistakes) if mistakes else 0):
        episode = judge(episode, playing.wrong(episode, rng))
    untrained = []
    if thought:
        if not hasattr(playing, "thinking_expert"):
            raise UsageError(f"the expert of {task.cell} writes no thoughts; leave thought out")
        right, untrained = playing.thinking_expert(episode, rng)
    made = dialogue((*prompt(episode), Message("assistant", right)), train_on)
    last = len(made.messages) - 1
    return made._replace(untrained=tuple((last, start, end) for start, end in untrained))


def dialogue(messages: Iterable[Message], train_on: TrainOn) -> Dialogue:
    """A dialogue that trains on all assistant turns, or on the last."""
    messages = tuple(messages)
    answers = tuple(turn for turn, message in enumerate(messages) if message.role == "assistant")
    return Dialogue(messages, answers if train_on == "all" else answers[-1:])


def epoch_order(step: int, size: int, count: int, seed: int) -> list[int]:
    """Indices of the dialogues of a step: each of ``count`` once an epoch, shuffled anew for every epoch.

    A step of ``size`` may hold the end of one epoch and the beginning of the next.
    """
    places = (divmod(place, count) for place in range(step * size, (step + 1) * size))
    return [_permutation(count, f"epoch/{seed}/{epoch}")[at] for epoch, at in places]


@lru_cache(maxsize=2)
def _permutation(count: int, key: str) -> Sequence[int]:
    return random.Random(key).sample(range(count), count)


def read(path: str | Path, train_on: TrainOn = "all") -> list[Dialogue]:
    """The dialogues of a file: a JSON list, or one JSON object a line; either layout.

    Raises:
        UsageError: the file cannot be read; the message names the record that is wrong.
    """
    return [found for _, found in read_records(path, train_on)]


def read_records(path: str | Path, train_on: TrainOn = "all") -> list[tuple[str, Dialogue]]:
    """As :func:`read`, each dialogue with its place in the file, for messages: ``FILE: record in line 3``."""
    records = [(where, _dialogue(record, where, train_on)) for where, record in _records(Path(path))]
    if not records:
        raise UsageError(f"{path} holds no dialogues; give a file with one record a line")
    return records


def write(path: str | Path, dialogues: Iterable[Dialogue], layout: str) -> None:
    """Write a file in one of the :data:`FORMATS`, whole or not at all. :func:`read` returns the same dialogues.

    Raises:
        UsageError: the file cannot be written, a dialogue shows pictures, or an answer is trained on in part: the
            layouts have no field for that.
    """
    path, dialogues = Path(path), list(dialogues)
    if any(message.picture is not None for dialogue in dialogues for message in dialogue.messages):
        raise UsageError(f"{path} would lose the pictures of its dialogues; write those of a text cell")
    if layout == "llava":
        records = (
            {"id": str(number), "conversations": _turns(found, "from", "value", _LLAVA)}
            for number, found in enumerate(dialogues)
        )
        text = "[\n" + ",\n".join(map(_line, records)) + "\n]\n"
    else:
        text = "".join(f"{_line(record)}\n" for record in map(message_record, dialogues))
    part = path.with_name(f"{path.name}.part")
    try:
        # A lone surrogate, which UTF-8 cannot carry, becomes the escape that JSON reads back as it.
        part.write_bytes(text.encode("utf-8", "backslashreplace"))
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def message_record(dialogue: Dialogue) -> dict[str, Any]:
    """A dialogue in the layout ``messages``.

    Raises:
        UsageError: an answer is trained on in part: the layout has no field for that.
    """
    return {"messages": _turns(dialogue, "role", "content", _MESSAGES)}


def _turns(dialogue: Dialogue, role: str, text: str, roles: Mapping[str, str]) -> list[dict[str, Any]]:
    """The turns of a record, under a layout's names; an answer that is not trained on has weight 0."""
    if dialogue.untrained:
        raise UsageError("an answer is trained on in part, which a file of dialogues cannot say; leave thought out")
    turns: list[dict[str, Any]] = []
    for number, message in enumerate(dialogue.messages):
        turns.append({role: roles[message.role], text: message.text})
        if message.role == "assistant" and number not in dialogue.trained_turns:
            turns[-1]["weight"] = 0
    return turns


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """The records of a file, each with its place."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    if text.lstrip().startswith("["):
        for number, record in enumerate(_parsed(text, str(path)), 1):
            yield f"{path}: record {number}", record
    else:
        # Only line feeds separate records: JSON strings may hold other line separators.
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                where = f"{path}: record in line {number}"
                yield where, _parsed(line, where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}") from None


def _dialogue(record: Any, where: str, train_on: TrainOn) -> Dialogue:
    """The dialogue of a record, checked."""
    if not isinstance(record, Mapping):
        raise UsageError(f"{where} is not an object; write one JSON object for each dialogue")
    pictured = next((key for key in _PICTURES if record.get(key)), None)
    if pictured:
        raise UsageError(f"{where} has {pictured!r}; a file's pictures are not read, so leave such records out")
    if record.get("weight") not in (None, 1):
        raise UsageError(f"{where} has weight {record['weight']!r}; records have no weights, so leave it out")
    role, text = ("role", "content") if "messages" in record else ("from", "value")
    turns = record.get("messages", record.get("conversations"))
    if not isinstance(turns, list) or not turns:
        raise UsageError(f"{where} has no list of 'messages' or 'conversations'; add one")
    chat = [_message(turn, role, text, f"{where}, turn {number}") for number, turn in enumerate(turns, 1)]
    if [m.role for m in chat if m.role != "system"][:1] != ["user"]:
        raise UsageError(f"{where} does not begin with a user's turn; add it")
    if not any(m.role == "assistant" for m in chat):
        raise UsageError(f"{where} has no assistant's turn, so nothing to learn; leave it out")
    found = dialogue(chat, train_on)
    weighted = tuple(turn for turn in found.trained_turns if turns[turn].get("weight") != 0)
    if not weighted:
        turn = "every assistant's turn" if train_on == "all" else "the last assistant's turn"
        raise UsageError(f"{where}: {turn} has weight 0, so nothing is left to learn; leave the record out")
    return found._replace(trained_turns=weighted)


def _message(turn: Any, role: str, text: str, where: str) -> Message:
    if not isinstance(turn, Mapping) or role not in turn or text not in turn:
        raise UsageError(f"{where} has no {role!r} and {text!r}; a turn has both")
    if not isinstance(turn[role], str) or turn[role] not in _ROLES:
        raise UsageError(f"{where} has the {role} {turn[role]!r}; use {', '.join(_ROLES)}")
    content = turn[text]
    if isinstance(content, list) and all(isinstance(p, Mapping) and p.get("type") == "text" for p in content):
        content = "".join(str(p.get("text", "")) for p in content)
    if not isinstance(content, str):
        raise UsageError(f"{where} is not text; pictures and tools of a file are not read")
    message, weight = Message(_ROLES[turn[role]], content), turn.get("weight")
    if weight not in (None, 0, 1):
        raise UsageError(f"{where} has weight {weight!r}; a turn is trained on (1) or not (0)")
    if weight == 1 and message.role != "assistant":
        raise UsageError(f"{where} has weight 1; only an assistant's turn can be trained on")
    return message
