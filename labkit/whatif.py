"""What if: fork an episode at one turn, change one thing there, and let a player go on.

A turn is one attempt at one position. What can be changed there:

* ``answer``: another answer is put in its place, and judged;
* ``feedback``: another sentence is sent back after the answer, in place of the verifier's;
* a field of the task, which the game names: ``cards`` and ``rule`` in GeneralPoints, ``instruction`` and ``rule`` in
  V-IRL. The position is dealt again with it, and the answers before the turn are judged again. Positions before stay
  as they were played, so a rule can change in the middle of a walk;
* ``nothing``: the player, or another one, answers anew.

A fork is an episode like any other. A :class:`Tree` keeps which fork came from which, and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labkit.envs import fork, game, judge, start
from labkit.episode import Episode, Position, Task
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.base import Player

ANSWER, FEEDBACK, NOTHING = "answer", "feedback", "nothing"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change at one turn."""

    position: int
    attempt: int
    """Index into the attempts of the position."""
    what: str = NOTHING
    """``answer``, ``feedback``, ``nothing``, or a field of the task."""
    text: str = ""
    """What stands there instead."""


def editable(episode: Episode, position: int, attempt: int) -> dict[str, str]:
    """What can be changed at a turn, each with its present text.

    Raises:
        UsageError: the episode has no such turn.
    """
    here = _turn(episode, position, attempt)
    said = here.attempts[attempt]
    found = {NOTHING: "", ANSWER: said.answer}
    if _is_fed_back(judge(fork(episode, attempt, position), said.answer), position):
        found[FEEDBACK] = said.verdict.feedback
    return found | _fields(episode.task)


def edited(episode: Episode, edit: Edit) -> Episode:
    """The episode as a change leaves it: open for the next answer, unless the change ends it.

    Raises:
        UsageError: the episode has no such turn, nothing of this name can be changed there, or the text is invalid.
    """
    here = _turn(episode, edit.position, edit.attempt)
    before = fork(episode, edit.attempt, edit.position)
    if edit.what == NOTHING:
        return before
    if edit.what == ANSWER:
        return judge(before, edit.text)
    if edit.what == FEEDBACK:
        said = here.attempts[edit.attempt]
        after = judge(before, said.answer, said.sample)
        if not _is_fed_back(after, edit.position):
            raise UsageError("after this answer the dialogue is over, so no feedback is sent; change the answer")
        return _with_feedback(after, edit.text)
    if edit.what not in _fields(episode.task):
        known = ", ".join((ANSWER, FEEDBACK, NOTHING, *_fields(episode.task)))
        raise UsageError(f"no {edit.what[:40]!r} to change here; choose one of {known}")
    # It is no longer a deal of its suite.
    task = replace(_of(episode.task).edited(episode.task, edit.what, edit.text), suite="custom", split="all")
    again = _dealt_again(episode, task, edit.position)
    for said in here.attempts[: edit.attempt]:
        if again.done or len(again.positions) > edit.position + 1:
            # With the change an earlier answer is right: the fork goes on from there.
            break
        again = judge(again, said.answer, said.sample)
    return again


def what_if(episode: Episode, edit: Edit, player: Player, *, key: tuple[int, ...] = (0,)) -> Episode:
    """The fork, played to its end.

    Args:
        player: goes on from the change.
        key: as of :func:`labkit.play.play`.

    Raises:
        UsageError: as of :func:`edited`, or the player cannot go on.
    """
    return play(edited(episode, edit), player, key=key)


@dataclass(frozen=True, slots=True)
class Branch:
    """An episode and where it came from."""

    episode: Episode
    parent: int | None = None
    """Index of the branch that was forked; None of the first."""
    edit: Edit | None = None
    """What was changed in the parent."""
    temperature: float = 0.0
    seed: int = 0
    """With which the player went on."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The forks of one episode; the first branch is the episode itself."""

    branches: tuple[Branch, ...] = field(default=())

    def grown(self, branch: Branch) -> Tree:
        """With one more branch."""
        return Tree((*self.branches, branch))

    def lineage(self, index: int) -> list[int]:
        """The branches from the first to this one, both included."""
        found: list[int] = []
        at: int | None = index
        while at is not None:
            found.append(at)
            at = self.branches[at].parent
        return found[::-1]

    def children(self, index: int) -> list[int]:
        """The branches that were forked from this one."""
        return [n for n, branch in enumerate(self.branches) if branch.parent == index]

    def to_json(self) -> str:
        """All branches as JSON, each with its parent and its change.

        Raises:
            ValueError: a number of an episode is not finite.
        """
        return json.dumps(
            {
                "branches": [
                    {
                        "parent": branch.parent,
                        "edit": asdict(branch.edit) if branch.edit else None,
                        "temperature": branch.temperature,
                        "seed": branch.seed,
                        "episode": json.loads(branch.episode.to_json()),
                    }
                    for branch in self.branches
                ]
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Tree:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is not a tree of forks.
        """
        try:
            return cls(tuple(map(_branch, json.loads(text)["branches"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a tree of forks: {error}") from None


def _branch(data: Mapping[str, Any]) -> Branch:
    edit = Edit(**data["edit"]) if data["edit"] else None
    episode = Episode.from_dict(data["episode"])
    return Branch(episode, data["parent"], edit, data["temperature"], data["seed"])


def _turn(episode: Episode, position: int, attempt: int) -> Position:
    """The position of a turn."""
    positions = episode.positions
    if not (0 <= position < len(positions) and 0 <= attempt < len(positions[position].attempts)):
        raise UsageError(f"the episode has no attempt {attempt + 1} at position {position + 1}; choose a turn it has")
    return positions[position]


def _of(task: Task) -> Any:
    return game(task.cell)


def _fields(task: Task) -> dict[str, str]:
    """What of a task can be changed; a game without such fields has none."""
    own = getattr(_of(task), "editable", None)
    return own(task) if own else {}


def _is_fed_back(after: Episode, position: int) -> bool:
    """Whether the verdict on the latest answer goes back into the dialogue."""
    return not after.done and len(after.positions) == position + 1


def _with_feedback(episode: Episode, sentence: str) -> Episode:
    """The episode with another sentence after its latest answer."""
    *before, here = episode.positions
    *earlier, last = here.attempts
    last = replace(last, verdict=replace(last.verdict, feedback=sentence))
    return replace(episode, positions=(*before, replace(here, attempts=(*earlier, last))))


def _dealt_again(episode: Episode, task: Task, position: int) -> Episode:
    """The episode at the beginning of a position, under another task."""
    if position == 0:
        return start(task, episode.player)
    before = replace(episode, task=task, positions=episode.positions[:position], status="open")
    here = game(task.cell).advance(before)
    if not isinstance(here, Position):
        raise UsageError("with this change the steps before do not lead here; change it at the first step")
    return replace(before, positions=(*before.positions, here))
