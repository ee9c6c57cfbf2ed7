"""The pieces of HTML of the What-if tab: the tree of forks, the turn that is changed, an episode of a branch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from app.deals import table_link
from app.shared.claims import keeps_other_rule
from app.shared.html import note, spinner
from app.whatif.forks import Forks
from labkit.counting import counted
from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.evaluation.tokens import parting
from labkit.views.markup import Mark, signed, text
from labkit.views.parting import parting_html
from labkit.views.turns import ended_html, episode_html
from labkit.whatif import ANSWER, FEEDBACK, NOTHING, Branch

EMPTY = (
    "Fork an episode at one of its turns: change the answer, the feedback, the rule or the task, and see what the "
    "player does then. Press “What if …” on a card in a game's tab, or on a stored episode in Inspect."
)
WORDS = {NOTHING: "answer anew", ANSWER: "another answer", FEEDBACK: "another feedback"}
"""What a change is called; a field of the task goes by its name."""
SHORT = 60


def label(what: str) -> str:
    """What a change is called."""
    return WORDS.get(what, f"another {what}")


def turn_name(episode: Episode, position: int, attempt: int) -> str:
    """``Step 3 of 9, attempt 1``."""
    step = row_of(episode.task.cell).load("view").step(episode, position)
    return f"{step}, attempt {attempt + 1}" if step else f"Attempt {attempt + 1}"


def turn_html(forks: Forks) -> str:
    """Which turn the next fork changes."""
    where = turn_name(forks.episode, *forks.turn)
    return (
        f'<p class="lk"><strong>Change branch {forks.shown} at: {text(where)}</strong> '
        '<span class="lk-soft">“What if …” on a card chooses another turn.</span></p>'
    )


def tree_html(forks: Forks, running: str = "") -> str:
    """The branches, each below the one that it was forked from.

    Args:
        running: what a player is busy with.
    """
    if not forks.tree.branches:
        return ""
    return f'<div class="lk app-tree"><ul>{_branch(forks, 0)}</ul>{spinner(running)}</div>'


def _branch(forks: Forks, index: int) -> str:
    branch = forks.tree.branches[index]
    changed = f"{_change(forks, branch)} → " if branch.edit else ""
    episode = branch.episode
    turns = counted(len(episode.attempts), "turn")
    end = ended_html(episode) or Mark("■", "not over", "void").html()
    pressed = "true" if index == forks.shown else "false"
    beside = index == forks.beside
    compare = "" if index == forks.shown else (
        f'<button type="button" {_pick("beside", index)} aria-pressed="{str(beside).lower()}">'
        f'beside<span class="lk-unseen"> branch {forks.shown}: branch {index}</span></button>'
    )  # fmt: skip
    below = "".join(_branch(forks, n) for n in forks.tree.children(index))
    flip = f" · {_flip(branch)}" if branch.edit and branch.edit.what == "rule" else ""
    return (
        f'<li><div><button type="button" {_pick("show", index)} aria-pressed="{pressed}">{index}</button> '
        f"{compare} {changed}<strong>{text(episode.player)}</strong> {end} "
        f'<span class="lk-soft">{turns}, return {signed(episode.reward)}{flip}</span></div>'
        f"{f'<ul>{below}</ul>' if below else ''}</li>"
    )


def _flip(branch: Branch) -> str:
    """What became of the player when the rule changed."""
    episode, edit = branch.episode, branch.edit
    if episode.success:
        return "adapted"
    after = episode.positions[edit.position :] if edit else ()
    answers = [a for n, p in enumerate(after) for a in p.attempts[edit.attempt if edit and not n else 0 :]]
    return "kept the old rule" if any(map(keeps_other_rule, answers)) else "failed in another way"


def _change(forks: Forks, branch: Branch) -> str:
    """What was changed in a branch's parent, and where."""
    if branch.edit is None or branch.parent is None:
        return ""
    where = turn_name(forks.tree.branches[branch.parent].episode, branch.edit.position, branch.edit.attempt)
    shown = " ".join(branch.edit.text.split())
    cut = f"{shown[:SHORT]}…" if len(shown) > SHORT else shown
    return f"{text(where)}: {text(label(branch.edit.what))}{f' <code>{text(cut)}</code>' if cut else ''}"


def _pick(do: str, index: int) -> str:
    return f'data-pick="{text(json.dumps([do, index]))}"'


def branch_html(forks: Forks, index: int | None, tokens: Any = (), live: Episode | None = None) -> str:
    """An episode of the tree.

    Args:
        tokens: those of each attempt, where they were asked for.
        live: an episode that is being played, in its place.
    """
    if live is not None:
        return f'<h3 class="lk">Branch {len(forks.tree.branches)}, as it grows</h3>{episode_html(live)}'
    if index is None:
        return ""
    branch = forks.tree.branches[index]
    shown = episode_html(branch.episode, tokens, live=True)
    changed = f' <span class="lk-soft">· {_change(forks, branch)}</span>' if branch.edit else ""
    play = table_link(branch.episode.task, [branch.episode.player], branch.temperature)
    return f'<h3 class="lk">Branch {index}{changed}</h3>{play}<div data-of="{index}">{shown}</div>'


def between_html(forks: Forks) -> str:
    """Where two branches part, if they were asked the same."""
    if forks.beside is None:
        return ""
    first, second = (replace(forks.tree.branches[n].episode, player=f"Branch {n}") for n in (forks.beside, forks.shown))
    return parting_html((first, second)) if parting(first, second) else ""


def full(most: int) -> str:
    """There are as many branches as a tree may have."""
    return note(f"This tree has {most} branches, and no more are kept. Begin another one.", "void")
