"""Players that are not models: the expert, chance, and a script."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from labkit.envs import game
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.players.base import Answer, Request


class Expert:
    """Gives right answers: from the solver in GeneralPoints, from the rail in V-IRL."""

    name = "expert"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return [Answer(game(t.episode.task.cell).expert(t.episode)) for t in turns]


class Random:
    """Gives random answers in the right form. Seeded by the request's key, so an episode replays."""

    name = "random"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return [Answer(game(t.episode.task.cell).random(t.episode, random.Random(_key(t)))) for t in turns]


class Words:
    """Answers by a rule that reads the prompt's words and never its picture: the control beside players who look."""

    name = "words"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return [Answer(self._answer(turn.episode)) for turn in turns]

    def _answer(self, episode: Episode) -> str:
        rule = getattr(game(episode.task.cell), "by_words", None)
        if rule is None:
            raise UsageError(f"words is a player of virl-l and virl-vl; {episode.task.cell} has no rule by words alone")
        return rule(episode)


def _key(turn: Request) -> str:
    place = (*turn.key, len(turn.episode.positions), len(turn.episode.position.attempts))
    return "/".join(map(str, place))


class Script:
    """Gives prepared answers, one an attempt, in order. For demonstrations and tests."""

    def __init__(self, answers: Iterable[str], name: str = "script") -> None:
        self.name = name
        self._answers = iter(answers)

    @classmethod
    def from_file(cls, path: str | Path) -> Script:
        """Read JSON lines: each a string, or an object with ``answer``.

        Raises:
            UsageError: the file cannot be read, or a line is neither.
        """
        try:
            # Not splitlines: JSON strings may hold the other line separators of Unicode.
            lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(f"cannot read the script {path}: {reason}") from None
        return cls(
            [_scripted(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()], f"script:{path}"
        )

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        out = []
        for _ in turns:
            text = next(self._answers, None)
            if text is None:
                raise UsageError(f"{self.name} has no answer left; add one JSON line for each attempt")
            out.append(Answer(text))
        return out


def _scripted(line: str, where: str) -> str:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f'{where} is not JSON; each line is a string or an object with "answer"') from None
    text = entry.get("answer") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise UsageError(f'{where} is neither a string nor an object with "answer"')
    return text
