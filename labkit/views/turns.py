"""An episode as HTML: pure functions from the record to escaped markup, without scripts.

The same markup stands in the app, in a notebook and on a static page; ``static/turns.css`` takes its colours
from whichever of them it finds itself in. Whatever a player wrote is untrusted text and is shown as text.

A page with a script of its own may ask for ``live`` cards. Such a card has a button that forks the episode at its
turn (``data-fork``), and a part that asks for the answer's tokens when it is opened (``data-ask``). The value of both
is ``POSITION.ATTEMPT``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import accumulate, groupby
from typing import Any

from labkit import envs
from labkit.counting import counted
from labkit.envs.games import row_of
from labkit.episode import Attempt, Episode, Message, Position, Sample, Verdict
from labkit.views.base import Folded, View
from labkit.views.markup import BAD, OK, Mark, details, mark_of, pre, shown_html, signed, text
from labkit.views.tokens import Token, asked_html, tokens_html


def _view(episode: Episode) -> View:
    return row_of(episode.task.cell).load("view")


def hand_html(episode: Episode, height: int = 96) -> str:
    """The task: cards of ``height`` pixels and the rule, or the way on a map."""
    return _view(episode).hand(episode, height)


def turn_card(
    episode: Episode, position: int, attempt: int, tokens: Sequence[Token] = (), *, live: bool = False
) -> str:
    """A card with one answer, its fields, verdict and reward.

    Args:
        position: index into ``episode.positions``.
        attempt: index into that position's attempts.
        tokens: those of the answer, where they are known: stored (:class:`labkit.views.tokens.StoredTokens`) or
            computed (:func:`labkit.evaluation.tokens.answer_tokens`).
        live: for a page with a script.

    Raises:
        IndexError: no attempt has these indices.
    """
    here = episode.positions[position]
    this = here.attempts[attempt]
    before = sum(len(p.attempts) for p in episode.positions[:position])
    total = list(accumulate(a.reward for a in episode.attempts))[before + attempt]
    mark = mark_of(this.verdict)
    step, title = _view(episode).step(episode, position), f"attempt {attempt + 1} of {episode.task.attempts}"
    title = f"{step}, {title}" if step else title.capitalize()
    return (
        f'<article class="lk lk-turn lk-{mark.tone}" tabindex="0" aria-label="{title}: {text(mark.word)}">'
        f"<header>{mark.html()}<span>{title}</span>{_reward(this, total)}</header>"
        f"{_answer(episode, this)}{_fields(episode, here, this)}{_quoted(this.verdict.feedback)}"
        f"{_other_rule(episode, here, this)}{_tags(episode, this)}"
        f"{_sample(this.sample)}{_inside(episode, position, attempt, tokens, live)}</article>"
    )


def turns_html(episode: Episode, tokens: Sequence[Sequence[Token]] = (), *, live: bool = False) -> str:
    """All turn cards, in order; where there are several positions, each is a part that opens.

    Args:
        tokens: those of each attempt, in order over all positions, where they are known.
        live: for a page with a script.
    """
    parts = (_position(episode, p, tokens, live) for p, position in enumerate(episode.positions) if position.attempts)
    return f'<ol class="lk lk-turns">{"".join(parts)}</ol>'


def position_html(
    episode: Episode, position: int, tokens: Sequence[Sequence[Token]] = (), *, live: bool = False
) -> str:
    """The turn cards of one position.

    Args:
        tokens, live: as of :func:`turns_html`.

    Raises:
        IndexError: no position has this index.
    """
    return f'<ol class="lk lk-turns">{_cards(episode, position, tokens, live)}</ol>'


def _position(episode: Episode, position: int, tokens: Sequence[Sequence[Token]], live: bool) -> str:
    cards, view = _cards(episode, position, tokens, live), _view(episode)
    step = view.step(episode, position)
    if not step:
        return cards
    here = episode.positions[position]
    marks = " ".join(mark_of(a.verdict).html() for a in here.attempts)
    about = f'<span class="lk-soft">{text(view.situation(episode, position))}</span>'
    # Positions with a wrong first answer are open, and so is the last one.
    last = position == len(episode.positions) - 1 or not episode.positions[position + 1].attempts
    opened = " open" if last or not here.attempts[0].verdict.success else ""
    head = f"<summary>{text(step)} {marks} {about}</summary>"
    return f'<li><details class="lk-step"{opened}>{head}<ol class="lk-turns">{cards}</ol></details></li>'


def _cards(episode: Episode, position: int, tokens: Sequence[Sequence[Token]], live: bool) -> str:
    """The cards of a position; failures that the verifier answers alike, one after the other, are folded."""
    attempts = episode.positions[position].attempts
    before = sum(len(p.attempts) for p in episode.positions[:position])
    cards = [
        f"<li>{turn_card(episode, position, n, tokens[before + n] if tokens else (), live=live)}</li>"
        for n in range(len(attempts))
    ]
    shown = []
    for (success, *_), places in groupby(range(len(attempts)), key=lambda n: _outcome(attempts[n].verdict)):
        first, *again = places
        shown.append(cards[first])
        if again and not success:
            folded = "".join(cards[n] for n in again)
            shown.append(f"<li>{_repeated(episode, position, again, folded)}</li>")
    return "".join(shown)


def _outcome(verdict: Verdict) -> tuple[bool, str, str]:
    return verdict.success, verdict.category, verdict.feedback


def _repeated(episode: Episode, position: int, again: Sequence[int], cards: str) -> str:
    """One line for failures that repeat the one before them.

    Args:
        again: indices of the attempts.
        cards: their cards.
    """
    here = episode.positions[position]
    last = here.attempts[again[-1]]
    numbers = f"Attempt {again[0] + 1}" if len(again) == 1 else f"Attempts {again[0] + 1} to {again[-1] + 1}"
    verb = "fails" if len(again) == 1 else "fail"
    others = [here.attempts[n].other_rule for n in again]
    label = f"would be correct under {_view(episode).other_rule_label(here)}"
    kept = f" {OK._replace(word=label).html()}" if all(other and other.success for other in others) else ""
    line = (
        f"{numbers} {verb} as attempt {again[0]} did {mark_of(last.verdict).html()}{kept} "
        f"<q>{text(last.verdict.feedback)}</q>"
    )
    return (
        f'<details class="lk-repeated" data-first="{position}.{again[0]}"><summary>{line}</summary>'
        f'<ol class="lk-turns">{cards}</ol></details>'
    )


def ended_html(episode: Episode) -> str:
    """The final status; empty while the episode is open."""
    return _view(episode).ENDED[episode.status].html() if episode.done else ""


def summary_html(episode: Episode) -> str:
    """One line: the final status, a mark for each attempt (or each step), the return."""
    if _view(episode).step(episode, 0):
        marks = strip_html(episode)
    else:
        items = "".join(_attempt(n, a) for n, a in enumerate(episode.attempts, 1))
        marks = f'<ol class="lk-strip">{items}</ol>'
    return (
        f'<div class="lk lk-summary">{ended_html(episode)}{marks}'
        f"<span>return <strong>{signed(episode.reward)}</strong></span></div>"
    )


def strip_html(episode: Episode, chosen: int | None = None) -> str:
    """The positions in a row, each with the marks of its attempts.

    Args:
        chosen: index of the position that the page shows. If given, every position is a button, with its index in
            ``data-step`` for a page's script.
    """
    items = []
    for number, position in enumerate(episode.positions):
        marks = [mark_of(a.verdict) for a in position.attempts] or [Mark("▶", "to be answered", "plain")]
        icons = "".join(mark.icon for mark in marks)
        unseen = f'<span class="lk-unseen">{text(", ".join(mark.word for mark in marks))}</span>'
        shown = f'{number + 1} <span aria-hidden="true">{icons}</span> {unseen}'
        if chosen is not None:
            pressed = "true" if number == chosen else "false"
            shown = f'<button type="button" data-step="{number}" aria-pressed="{pressed}">{shown}</button>'
        items.append(f'<li class="lk-{_worst(marks).tone}">{shown}</li>')
    return f'<ol class="lk-strip">{"".join(items)}</ol>'


def _worst(marks: list[Mark]) -> Mark:
    return next((mark for mark in marks if mark.tone != "ok"), marks[0])


def _attempt(number: int, attempt: Attempt) -> str:
    icon, word, tone = mark_of(attempt.verdict)
    shown = f'<span aria-hidden="true">{icon}</span> <span class="lk-unseen">{text(word)}</span>'
    return f'<li class="lk-{tone}">{number} {shown} {signed(attempt.reward)}</li>'


def episode_html(episode: Episode, tokens: Sequence[Sequence[Token]] = (), *, live: bool = False) -> str:
    """A whole episode: who played what, the hand, the summary, the turn cards.

    Args:
        tokens, live: as of :func:`turns_html`.
    """
    who = f"<strong>{text(episode.player or 'nobody')}</strong> on {text(episode.task.id)}"
    turns = turns_html(episode, tokens, live=live) if episode.attempts else '<p class="lk-empty">No answer yet.</p>'
    return (
        f'<section class="lk lk-episode" aria-label="Episode {text(episode.task.id)}">'
        f"<p>{who} · {text(_view(episode).setting(episode))}</p>"
        f"{hand_html(episode)}{summary_html(episode)}{turns}</section>"
    )


def _reward(attempt: Attempt, total: float) -> str:
    ended = f" ({signed(attempt.penalty)} for the last attempt used up)" if attempt.penalty else ""
    return (
        f'<span class="lk-reward">reward <strong>{signed(attempt.reward)}</strong>{ended} · '
        f"total <strong>{signed(total)}</strong></span>"
    )


def _answer(episode: Episode, attempt: Attempt) -> str:
    """The exact answer, with the decisive field underlined and a long part folded."""
    answer = attempt.answer
    if not answer:
        return '<p class="lk-empty">An empty answer.</p>'
    folded = _view(episode).folded(attempt)
    behind = folded.end if folded else 0
    before = f"{pre(answer[: folded.begin])}{_folded(folded)}" if folded else ""
    start, end = envs.game(episode.task.cell).decisive_span(answer) or (len(answer), len(answer))
    # A decisive field in front of the folded part, in an answer that goes on, is left without a line.
    start, end = max(start, behind), max(end, behind)
    parts = text(answer[behind:start]), text(answer[start:end]), text(answer[end:])
    underlined = f"<u>{parts[1]}</u>" if parts[1] else ""
    return f'<div class="lk-answer">{before}<pre>\n{parts[0]}{underlined}{parts[2]}</pre></div>'


def _folded(folded: Folded) -> str:
    lines = (f'<li class="lk-missed">{text(p)}</li>' if grey else f"<li>{text(p)}</li>" for p, grey in folded.pieces)
    return details(text(folded.summary), f"<ol>{''.join(lines)}</ol>", "lk-folded")


def _fields(episode: Episode, position: Position, attempt: Attempt) -> str:
    rows = _view(episode).fields(episode, position, attempt)
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{text(row.name)}</th><td>{text(row.value)}</td>'
        f"<td>{'' if row.ok is None else (OK if row.ok else BAD).html()} {text(row.note)}</td></tr>"
        for row in rows
    )
    return f'<table class="lk-fields"><tbody>{body}</tbody></table>'


def _quoted(feedback: str, behind: str = "") -> str:
    """The verifier's exact sentence."""
    return f'<p class="lk-said"><span>Verifier</span> <q>{text(feedback)}</q>{behind}</p>'


def _tags(episode: Episode, attempt: Attempt) -> str:
    if not attempt.tags:
        return ""
    meanings = _view(episode).TAGS
    items = "".join(f"<li><code>{text(tag)}</code> {text(meanings.get(tag, ''))}</li>" for tag in attempt.tags)
    return f'<ul class="lk-tags" aria-label="Failure tags">{items}</ul>'


def _other_rule(episode: Episode, position: Position, attempt: Attempt) -> str:
    """The verdict on the same answer under the other rule, which shows whether the player kept the old one."""
    other = attempt.other_rule
    if other is None:
        return ""
    mark, label = mark_of(other), text(_view(episode).other_rule_label(position))
    if other.success:
        claim = f"{mark._replace(word='would be correct').html()} under {label}"
    else:
        claim = f'<span class="lk-soft">under {label}: {mark.icon} {text(mark.word)}</span>'
    return details(claim, _quoted(other.feedback, f" reward {signed(other.reward)}"), "lk-other")


def _sample(sample: Sample | None) -> str:
    """The numbers of a sampled answer: tokens, temperature, log-probability."""
    if sample is None:
        return ""
    parts = [f"{counted(sample.tokens, 'token')} in {sample.seconds:.2f} s", f"temperature {sample.temperature:g}"]
    if sample.logp is not None:
        parts.append(f"log p {sample.logp:.2f}".replace("-", "−"))
    if sample.decisive_logp is not None:
        decisive = f"{sample.decisive_logp:.2f}".replace("-", "−")
        parts.append(f"underlined field {decisive} over {counted(sample.decisive_tokens, 'token')}")
    if sample.value is not None:
        parts.append(f"value estimate {signed(round(sample.value, 2))}")
    if sample.truncated:
        parts.append("cut off at the token limit")
    return f'<p class="lk-sample">{" · ".join(parts)}</p>'


def _inside(episode: Episode, position: int, attempt: int, tokens: Sequence[Token], live: bool) -> str:
    """What lies behind the answer: its tokens, the dialogue that led to it, its characters, its record."""
    this = episode.positions[position].attempts[attempt]
    place = f"{position}.{attempt}"
    sampled = this.sample is not None and this.sample.logp is not None
    sent = envs.prompt(envs.fork(episode, attempt, position))
    known = len(sent) - 2 if attempt else 0
    messages = "".join(_message(episode, m, new=n >= known) for n, m in enumerate(sent))
    count = f"{len(sent)} messages, the last 2 new" if attempt else "1 message"
    return (
        '<div class="lk-inside">'
        + (tokens_html(tokens) or (asked_html(place) if live and sampled else ""))
        + details(f"Prompt as sent ({count})", messages)
        + details("Raw answer", pre(json.dumps(this.answer)))
        + details("Record", pre(json.dumps(asdict(this), ensure_ascii=False, indent=1)))
        + (f'<button type="button" data-fork="{place}">What if …</button>' if live else "")
        + "</div>"
    )


def _message(episode: Episode, message: Message, new: bool) -> str:
    label = f"<strong>{message.role}</strong>{' <mark>new</mark>' if new else ''}"
    picture = picture_html(episode, message.picture) if message.picture else ""
    return f'<div class="lk-message{" lk-new" if new else ""}">{label}{picture}{pre(message.text)}</div>'


def picture_html(episode: Episode, recipe: Any) -> str:
    """What the player was shown, drawn again from its recipe: pixel by pixel where it is small, else made smaller."""
    alt, side, form = _view(episode).PICTURE
    return shown_html(envs.game(episode.task.cell).draw(recipe), alt, side, form)
