"""The pieces of HTML of a class: what the phones show, and the teacher's screen."""

from __future__ import annotations

from collections.abc import Sequence

from app.classroom.poll import Poll, Standing
from app.classroom.questions import Question
from app.shared.html import note
from app.story.html import WHO
from labkit.counting import counted
from labkit.views.markup import text

SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>labkit: your vote</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="class/phone.css">
<script src="class/phone.js" defer></script>
</head>
<body class="app-phone">
<main class="lk" aria-live="polite"></main>
<p class="lk" role="status"></p>
<noscript><p class="lk">This page needs JavaScript.</p></noscript>
</body>
</html>
"""
"""The page of the phones; its script fills it."""


def phone(poll: Poll, standing: Standing, mine: int | None) -> str:
    """What a phone shows.

    Args:
        mine: what the phone has chosen.
    """
    question = poll.questions[standing.number]
    if standing.phase == "closed":
        return "<h1>Look at the teacher’s screen</h1><p>The next question comes here when it is open.</p>"
    if standing.phase == "open":
        buttons = "".join(
            f'<button type="button" data-choice="{number}" aria-pressed="false">{text(choice)}</button>'
            for number, choice in enumerate(question.choices)
        )
        return f'<h1>{text(question.asked)}</h1><div class="app-choices">{buttons}</div>{players()}{question.given}'
    return f"<h1>{text(question.asked)}</h1>{_own(question, mine)}{bars(question, standing)}{question.answer}"


def players() -> str:
    """Who the three players are."""
    items = "".join(f"<li><strong>{text(name)}</strong>: {text(who)}</li>" for name, who in WHO.items())
    return f'<ul class="app-three">{items}</ul>'


def _own(question: Question, mine: int | None) -> str:
    """The phone's vote beside the right choice."""
    right = question.choices[question.right]
    if mine is None:
        return note(f"You did not vote. The answer is: {right}.", "plain")
    if mine == question.right:
        return note(f"You voted “{right}”. That is right.", "ok")
    return note(f"You voted “{question.choices[mine]}”. The answer is: {right}.", "void")


def bars(question: Question, standing: Standing) -> str:
    """The votes of each choice; once revealed, the right one is marked."""
    revealed, most = standing.phase == "revealed", max(standing.votes, 1)
    lines = []
    for number, (choice, votes) in enumerate(zip(question.choices, standing.tally, strict=True)):
        right = revealed and number == question.right
        mark = "<small>✓ the answer</small>" if right else ""
        lines.append(
            f'<li class="lk-{"ok" if right else "plain"}" style="--app-p: {votes / most:.1%}">'
            f'<span>{text(choice)}{mark}</span><i aria-hidden="true"></i><b>{votes}</b></li>'
        )
    return f'<ul class="app-bars" aria-label="Votes">{"".join(lines)}</ul>'


def address(addresses: Sequence[str], shared: bool) -> str:
    """Where the phones go, in large type.

    Args:
        shared: whether other machines can reach the app.
    """
    first, *others = [text(name.removeprefix("http://") + "/class") for name in addresses]
    more = f"<p>or {', '.join(others)}</p>" if others else ""
    alone = "Only this machine can open it: start the app with --host 0.0.0.0 and a password to let phones in."
    return (
        f'<div class="lk app-address"><p>Vote at</p><strong>{first}</strong>{more}{"" if shared else note(alone)}</div>'
    )


def board(poll: Poll, standing: Standing) -> str:
    """The teacher's screen: what is asked and given, the count, and the votes where they may be seen."""
    question = poll.questions[standing.number]
    revealed = standing.phase == "revealed"
    if revealed or (standing.peeked and standing.phase == "open"):
        shown = bars(question, standing)
    else:
        shown = f'<ol class="app-asked">{"".join(f"<li>{text(choice)}</li>" for choice in question.choices)}</ol>'
    count = "not open yet" if standing.phase == "closed" else counted(standing.votes, "vote")
    return (
        f'<div class="lk app-class"><section><h2>{text(question.asked)}</h2>{shown}'
        f'<p class="app-votes">{count}</p>{players()}</section>'
        f"<section>{question.answer if revealed else question.given}</section></div>"
    )
