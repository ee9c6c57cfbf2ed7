"""Two players on the same deal: the token where their answers part."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.evaluation.tokens import Token, parting, token_at
from labkit.views.markup import text

BEFORE = 40
"""Characters that are shown of what both said before."""
BEHIND = 12
"""Characters that are shown of an answer whose tokens are not known."""

Tokens = Sequence[Sequence[Token]]


def parting_html(episodes: tuple[Episode, Episode], tokens: tuple[Tokens, Tokens] = ((), ())) -> str:
    """Where the answers part, and what each player says there, with its probability where the tokens are known.

    A text that the other player's model lists among its most probable tokens is given that probability too.

    Args:
        tokens: those of each attempt of each episode, in order over all positions; empty where they are not known.
    """
    found = parting(*episodes)
    if found is None:
        return '<p class="lk lk-parting">Their answers do not part.</p>'
    step = row_of(episodes[0].task.cell).load("view").step(episodes[0], found.position)
    where = f"{text(step)}, attempt {found.attempt + 1}" if step else f"attempt {found.attempt + 1}"
    answers = [episode.attempts[found.number].answer for episode in episodes]
    alike = answers[0][: found.at]
    said = [token_at(of[found.number], found.at) if len(of) > found.number else None for of in tokens]
    shown = [
        _shown(token.text if token else answer[found.at : found.at + BEHIND])
        for token, answer in zip(said, answers, strict=True)
    ]
    cut = "…" if len(alike) > BEFORE else ""
    after = f" after <code>{cut}{text(alike[-BEFORE:])}</code>" if alike else ""
    known = any(said)
    rows = "".join(
        f'<tr><th scope="row">{text(episode.player)}</th><td><code>{shown[n]}</code></td>'
        f"{_numbers(said[n], said[1 - n]) if known else ''}</tr>"
        for n, episode in enumerate(episodes)
    )
    head = ["Player", "Goes on with", *(["Probability", "Of what the other says"] if known else [])]
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="lk lk-parting"><p>Their answers part at {where}{after}.</p>'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _shown(said: str) -> str:
    return text(said.replace("\n", "⏎")) or "(nothing: the answer ends)"


def _numbers(token: Token | None, other: Token | None) -> str:
    """A player's probability of its own token, and of the other player's."""
    if token is None:
        return "<td></td><td></td>"
    of_other = dict(token.others).get(other.text) if other else None
    return f"<td>{_probability(math.exp(token.logp))}</td><td>{'' if of_other is None else _probability(of_other)}</td>"


def _probability(p: float) -> str:
    return f"{p:.3g}" if p >= 0.001 else "under 0.001"
