"""What a window holds of a what-if: the tree of forks, what is looked at, and how the tree can be made again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from app.whatif.settings import WhatIfSettings
from labkit import envs
from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.whatif import Branch, Edit, Tree

MOST = 24
"""Branches of a tree."""
LONGEST_LINK = 6000
"""Characters of a link."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fork as a link has it: what was changed in the branch before, and who went on."""

    edit: Edit
    player: str
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Forks:
    """The what-if of a window."""

    tree: Tree = field(default_factory=Tree)
    source: str = ""
    """The query string of the view that the first branch is from; empty where it cannot be made again."""
    shown: int = 0
    """Index of the branch that is looked at."""
    beside: int | None = None
    """Index of the branch beside it."""
    turn: tuple[int, int] = (0, 0)
    """Position and attempt that the next fork changes, in the branch that is looked at."""
    waiting: tuple[Step, ...] = ()
    """The forks of a link that are still to be played."""

    @property
    def episode(self) -> Episode:
        """The episode that is looked at."""
        return self.tree.branches[self.shown].episode

    def grown(self, branch: Branch) -> Forks:
        """With one more branch, which is looked at beside its parent."""
        tree = self.tree.grown(branch)
        return replace(self, tree=tree, shown=len(tree.branches) - 1, beside=branch.parent, turn=_turn_in(branch))

    def link(self) -> str:
        """The query string that makes the branch that is looked at again.

        Raises:
            UsageError: its first episode cannot be made again, or the link would be too long.
        """
        if not self.source:
            raise UsageError("The first episode cannot be made again from a link; use Export JSON instead.")
        branches = [self.tree.branches[n] for n in self.tree.lineage(self.shown)[1:]]
        steps = [
            [b.edit.position, b.edit.attempt, b.edit.what, b.edit.text, b.episode.player, b.temperature, b.seed]
            for b in branches
            if b.edit
        ]
        found = "?" + urlencode({"tab": "whatif", "source": self.source, "forks": json.dumps(steps)})
        if len(found) > LONGEST_LINK:
            raise UsageError("The changes are too long for a link; use Export JSON instead.")
        return found


def _turn_in(branch: Branch) -> tuple[int, int]:
    """The turn that was changed, if the branch has it; else its last one."""
    positions, edit = branch.episode.positions, branch.edit
    if edit and edit.position < len(positions) and edit.attempt < len(positions[edit.position].attempts):
        return edit.position, edit.attempt
    last = max((n for n, p in enumerate(positions) if p.attempts), default=0)
    return last, max(0, len(positions[last].attempts) - 1)


def steps_of(text: str) -> tuple[Step, ...]:
    """The forks of a link.

    Raises:
        ValueError: the text is of another form.
    """
    try:
        entries = json.loads(text[:LONGEST_LINK])
        steps = [_step(*entry) for entry in entries] if isinstance(entries, list) else None
    except (TypeError, RecursionError, UsageError) as error:
        raise ValueError(str(error)) from None
    if steps is None or len(steps) >= MOST:
        raise ValueError("no list of forks, or too long a one")
    return tuple(steps)


def _step(position: Any, attempt: Any, what: Any, text: Any, player: Any, temperature: Any, seed: Any) -> Step:
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (position, attempt))
    if not (whole and all(isinstance(word, str) for word in (what, text, player))):
        raise ValueError("not a fork")
    chosen = WhatIfSettings(text=text, temperature=temperature, seed=seed)
    edit = Edit(position, attempt, what, chosen.value("text"))
    return Step(edit, player, chosen.value("temperature"), chosen.value("seed"))


def offered(episode: Episode, what: str, present: str) -> tuple[str, ...]:
    """The values that a list offers for a field of the task; none where any text may stand."""
    if what not in getattr(envs.game(episode.task.cell), "editable", lambda task: {})(episode.task):
        return ()
    options = row_of(episode.task.cell).load("options")
    return next((option.suggested for option in options if present in option.suggested), ())
