"""What happens on the tables, without a screen: the player's episode, the person's, the recorded ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from app.state import FieldError, Shown, same_deal
from labkit import envs
from labkit.envs.general_points import solver
from labkit.envs.general_points.cards import Rule, numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.envs.general_points.verifier import read
from labkit.envs.virl.game import answer_text, observed
from labkit.episode import Episode, Task
from labkit.play import stream

if TYPE_CHECKING:
    from app.players import Catalogue

YOU = "you"
BUNDLED = files("labkit") / "bundled"


class Choice(Protocol):
    """Who plays, and how: what the settings of both tables say."""

    player: str | None

    def clamped_temperature(self) -> float: ...

    def whole_seed(self) -> int: ...


@cache
def recordings(cell: str) -> tuple[Episode, ...]:
    """The bundled episodes of a cell; none where the file is missing."""
    path = BUNDLED / cell / "recorded.jsonl"
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Episode.from_json(line) for line in lines if line.strip())


def recorded(task: Task, player: str | None) -> Shown | None:
    """A recorded episode of this deal, by this player if there is one."""
    found = [e for e in recordings(task.cell) if same_deal(e.task, task)]
    found.sort(key=lambda e: e.player != player)
    return Shown(found[0], "recorded") if found else None


def live(catalogue: Catalogue, settings: Choice, task: Task | Episode, stopped: Callable[[], bool]) -> Iterator[Shown]:
    """The player's episode as it grows: before the first answer, then after each.

    Args:
        task: or an open episode to go on with.
        stopped: asked between answers, and during one by players that have a ``should_stop``.

    Raises:
        UsageError: the player cannot be had, or cannot go on.
    """
    player = catalogue.player(settings.player or "", settings.clamped_temperature(), stopped)
    before = None
    for episode in stream(task, player, key=(settings.whole_seed(),)):
        if before is not None and stopped() and _cut_off(episode):
            yield Shown(before, "stopped")
            return
        halted = stopped() and not episode.done
        yield Shown(episode, "stopped" if halted else "live")
        if halted:
            return
        before = episode


def _cut_off(episode: Episode) -> bool:
    """Whether the last answer was ended from outside: then it is no attempt."""
    sample = episode.attempts[-1].sample
    return sample is not None and sample.truncated


def typed_answer(ranks: list[str], faces: Rule, target: int, formula: str) -> str:
    """A person's formula as an answer: the form asks for the formula alone, and fills in the rest."""
    ended = formula if "=" in formula else f"{formula}={target}"
    return json.dumps({"cards": ranks, "number": numbers_of(ranks, faces), "formula": ended}, ensure_ascii=False)


def attempt(own: Episode | None, task: Task, formula: str) -> Episode:
    """The person's episode with one more attempt; a new one where the old is over or was dealt otherwise.

    Raises:
        FieldError: the formula cannot be read; that costs no attempt.
    """
    if not formula.strip():
        raise FieldError("formula", "Type a formula first, or click the cards and signs.")
    if own is None or own.done or not same_deal(own.task, task):
        own = envs.start(task, YOU)
    state = own.position.state
    answer = typed_answer(state["cards"], state["faces"], state["target"], formula.strip())
    problem = read(answer).problem
    if problem:
        raise FieldError("formula", f"This formula cannot be read: {problem}.")
    return envs.judge(own, answer)


def solvable(task: Task) -> bool:
    return solver.solvable(numbers_of(ranks_of(task.deal), task.rule["faces"]), task.rule["target"])


def solution(task: Task) -> str | None:
    """A formula that solves the task, if there is one."""
    return next(solver.solve(numbers_of(ranks_of(task.deal), task.rule["faces"]), task.rule["target"]), None)


def act(own: Episode, action: str) -> Episode:
    """The person's walk with one more action; what is seen and the sentence are filled in rightly."""
    state = own.position.state
    return envs.judge(own, answer_text(observed(own.task, state), state["instruction"], action))
