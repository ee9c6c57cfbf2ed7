"""The pieces of HTML of a blind duel: the deal, the two columns, what the guess was worth."""

from __future__ import annotations

from app.panels.duel.round import SIDES, Round, Score
from app.shared.html import note, spinner
from labkit import envs
from labkit.counting import counted
from labkit.views.markup import text
from labkit.views.turns import hand_html, summary_html, turns_html


def deal(played: Round) -> str:
    """The task of the round."""
    return hand_html(envs.start(played.task))


def column(played: Round, side: int, playing: bool) -> str:
    """What one player did; its name only after the guess."""
    episode = played.shown.get(side)
    name = SIDES[side] if played.guess is None else f"{SIDES[side]}: {played.players[side]}"
    busy = spinner("Playing …") if playing and (episode is None or not episode.done) else ""
    body = f"{summary_html(episode)}{turns_html(episode)}" if episode and episode.attempts else ""
    return f'<div class="lk app-side"><h3>{text(name)}</h3>{busy}{body}</div>'


def asks(played: Round) -> str:
    """What is asked once both have ended."""
    return note("Which of the two was trained with RL? Choose a side.", "plain") if played.over else ""


def answer(played: Round, score: Score) -> str:
    """Whether the guess was right, who played, and the score."""
    trained, other = played.players[played.trained], played.players[1 - played.trained]
    right = played.guess == played.trained
    verdict = f"{'Right' if right else 'Wrong'}: {SIDES[played.trained].lower()} was {trained}, trained with RL; "
    told = f"the other was {other}. You have been right {score.right} of {counted(score.count, 'time')}."
    return note(verdict + told, "ok" if right else "bad")
