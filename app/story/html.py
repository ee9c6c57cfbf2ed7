"""The pieces of HTML of the story: the steps, a player with the bars of its choice, the counts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from app.shared.bars import Bar, figure
from app.shared.html import ORIGINS, listed, no_room, note, spinner, spoken
from app.shared.window import Shown
from app.story.chapters import CHANGED, EARLY, TRAINED, Chapter, Field
from app.story.numbers import Numbers, Relation, Row, relation
from app.story.settings import COUNT, GUESS, REVEAL, RULE, STEPS
from labkit import envs
from labkit.episode import Task
from labkit.views.markup import Mark, details, text
from labkit.views.palette import color_of
from labkit.views.turns import ended_html, hand_html, turns_html

NAMES = {RULE: "The trained rule", GUESS: "Your guess", REVEAL: "The changed rule", COUNT: "The count"}
WHO = {
    "Init": "before either training",
    "SFT": "Init, trained on right answers",
    "RL": "Init, trained on rewards alone",
}
_THAN: Mapping[Relation, str] = {
    "above": "more than",
    "below": "fewer than",
    "unclear": "neither clearly more nor clearly fewer than",
}
_CHANGE: Mapping[Relation, str] = {"above": "gains", "below": "loses", "unclear": "shows no clear change"}


def steps(at: int) -> str:
    """A button for each step; the one that is shown is pressed."""
    items = "".join(
        f'<li><button type="button" data-step="{step}" aria-pressed="{str(step == at).lower()}">'
        f"<strong>{step}</strong> <span>{NAMES[step]}</span></button></li>"
        for step in STEPS
    )
    return f'<nav class="lk app-story-steps" aria-label="Steps of the story"><ol>{items}</ol></nav>'


def told(chapter: Chapter, step: int, guess: Sequence[str], failed: Sequence[str], numbers: Numbers) -> str:
    """What a step says above its button.

    Args:
        guess: who fails under the changed rule, by the visitor's guess.
        failed: who does.
    """
    if step == COUNT:
        heading, body = headline(numbers), conclusion(chapter, numbers)
    else:
        trained, changed = (chapter.settings[suite].task for suite in (TRAINED, CHANGED))
        old, new = differing(trained, changed), differing(changed, trained)
        heading, body = {
            RULE: (
                "The rule that they were trained on",
                f"<p>One small model, three times: at the start, after SFT, after RL. All get the same {chapter.deal} "
                f"and this rule:</p>{_rule('', old)}",
            ),
            GUESS: ("Now one sentence of the prompt changes", f"{_rule('before', old)}{_rule('now', new)}"),
            REVEAL: ("What they do under the changed rule", f"{_rule('', new)}{_verdict(chapter, guess, failed)}"),
        }[step]
    return f'<div class="lk app-told"><h2>{heading}</h2>{body}</div>'


def deal(chapter: Chapter, step: int, task: Task) -> str:
    """The picked deal, where no player's own picture shows it."""
    shown = step == GUESS or (step != COUNT and not chapter.deal_in_stage)
    return f'<div class="app-deal-shown">{hand_html(envs.start(task), 84)}</div>' if shown else ""


def differing(one: Task, other: Task) -> list[str]:
    """The sentences of a task's prompt that another's lacks."""
    mine, others = (re.split(r"(?<=\.) |\n", envs.prompt(envs.start(task))[0].text) for task in (one, other))
    return [sentence for sentence in mine if sentence not in others]


def _rule(label: str, sentences: Sequence[str]) -> str:
    """Sentences of a prompt, with a word in front or none."""
    front = f"<span>{label}</span>" if label else ""
    return f'<p class="app-rule app-rule-{label or "here"}">{front}<q>{text(" ".join(sentences))}</q></p>'


def _verdict(chapter: Chapter, guess: Sequence[str], failed: Sequence[str]) -> str:
    """The visitor's guess beside what happened."""
    happened = f"{listed(failed, 'and')} {'fail' if len(failed) > 1 else 'fails'}" if failed else "None of them fails"
    if not guess:
        return note(f"{happened} on this {chapter.deal}.", "plain")
    guessed = f"You guessed {listed(guess, 'and')}."
    if set(guess) == set(failed):
        return note(f"{guessed} Right: {happened.replace('None', 'none')} on this {chapter.deal}.", "ok")
    return note(f"{guessed} {happened} on this {chapter.deal}.", "void")


def picked(chapter: Chapter, suite: str, numbers: Numbers) -> str:
    """Says that the deal was picked, with the count over all deals beside it."""
    counts = listed(
        [f"{name} {numbers.row(suite, name, chapter.temperature).tally}" for name in chapter.players], "and"
    )
    return note(
        f"This {chapter.deal} was picked to show the difference; a script picked it. Of all held-out {chapter.deal}s "
        f"under this rule the players complete: {counts}. (Temperature {chapter.temperature:g}, as here.)",
        "plain",
    )


def status(title: str, shown: Shown | None, running: str = "") -> str:
    """Who plays, and how the episode ended."""
    ended = spinner(running)
    if shown is not None:
        marks = f"{ended_html(shown.episode)} {ORIGINS[shown.origin].html()}"
        ended = f"{marks} {ended}{spoken(shown.episode)}{no_room(shown.episode)}"
    return (
        f'<div class="lk app-who-plays" style="--app-method: {color_of(title)}"><h3>{text(title)}</h3> '
        f'<span class="lk-soft">{WHO[title]}</span><div>{ended}</div></div>'
    )


def played(chapter: Chapter, suite: str, shown: Shown, choices: Mapping[str, float] | None) -> str:
    """A player's decisive choice, and its episode.

    Args:
        suite: the one whose rule was played.
        choices: the probability of each candidate; None where it was not measured on this answer.
    """
    episode, field = shown.episode, chapter.field(shown.episode)
    decided, by_token = "", ""
    if field is not None:
        chosen = episode.positions[field.position].attempts[0].answer[slice(*field.span)]
        decided = (
            f'<p class="app-decides"><span class="lk-soft">{text(field.name)}</span><br>'
            f"<code>{text(chapter.short(chosen))}</code> {_judged(field, chosen, suite)}</p>"
            f"{bars(chapter, suite, field, choices) if choices else ''}"
        )
        if choices and not chapter.temperature and max(choices, key=lambda c: choices[c]) != chosen:
            by_token = (
                '<p class="lk-soft app-by-token">The longest bar is not what the player said: at temperature 0 it '
                "takes the likeliest token each time, which need not make the likeliest word.</p>"
            )
    elif episode.done:
        decided = '<p class="lk-soft">The player never came to the choice that the two rules decide.</p>'
    inside = details("Every answer, as the player gave it", turns_html(episode)) if episode.attempts else ""
    return f'<div class="lk app-played">{decided}{chapter.stage(episode)}{by_token}{inside}</div>'


def _rules(suite: str) -> tuple[str, str]:
    """The names of the rule that is played and of the other one."""
    return ("trained rule", "changed rule") if suite == TRAINED else ("changed rule", "trained rule")


def _judged(field: Field, chosen: str, suite: str) -> str:
    this, other = _rules(suite)
    if chosen == field.right:
        return Mark("✓", f"what the {this} asks for", "ok").html()
    if chosen == field.other:
        return Mark("✗", f"what the {other} asks for", "bad").html()
    return Mark("✗", "wrong under both rules", "bad").html()


def bars(chapter: Chapter, suite: str, field: Field, choices: Mapping[str, float]) -> str:
    """How probable each candidate was: what the rules ask for, the likeliest of the others, and the rest."""
    this, other = _rules(suite)
    likeliest = max(choices.keys() - {field.right, field.other}, key=lambda c: choices[c])
    shown = [(field.right, this, "ok"), (field.other, other, "bad"), (likeliest, "", "plain")]
    items = [_bar(chapter.short(c), rule, tone, choices[c]) for c, rule, tone in shown]
    items.append(_bar("anything else", "", "plain", max(0.0, 1 - sum(choices[c] for c, _, _ in shown))))
    return f'<ul class="app-bars" aria-label="How probable each choice was">{"".join(items)}</ul>'


def _bar(name: str, rule: str, tone: str, p: float) -> str:
    tag = f" <small>{rule}</small>" if rule else ""
    return (
        f'<li class="lk-{tone}" style="--app-p: {p:.1%}"><span>{text(name)}{tag}</span>'
        f'<i aria-hidden="true"></i><b>{percent(p)}</b></li>'
    )


def percent(p: float) -> str:
    """Whole percents as HTML; what is not 0 or 1 is not rounded to it."""
    if 0 < p < 0.005:
        return "&lt;1%"
    return "&gt;99%" if 0.995 <= p < 1 else f"{p:.0%}"


# The count


def compared(numbers: Numbers, suite: str) -> list[tuple[str, Row]]:
    """The players of the last step, each with its name there: Init at its best temperature is a control, and so is
    SFT stopped early."""
    best = numbers.best_temperature
    rows = [(name, numbers.row(suite, name, numbers.temperature)) for name in numbers.names]
    control = (f"Init, temperature {best:g}", numbers.row(suite, "Init", best))
    return rows if best == numbers.temperature else [rows[0], control, *rows[1:]]


def headline(numbers: Numbers) -> str:
    """What the counts say of both trainings under the changed rule, in a line that the intervals allow."""
    init, sft, rl = (numbers.row(CHANGED, name, numbers.temperature) for name in ("Init", "SFT", "RL"))
    return f"Under the changed rule SFT {_CHANGE[relation(sft, init)]}, RL {_CHANGE[relation(rl, init)]}"


def conclusion(chapter: Chapter, numbers: Numbers) -> str:
    """What the counts say, player by player."""
    init, sft, rl = (numbers.row(CHANGED, name, numbers.temperature) for name in ("Init", "SFT", "RL"))
    best = numbers.row(CHANGED, "Init", numbers.best_temperature)
    stopped = ""
    if EARLY in numbers.names:
        early = numbers.row(CHANGED, EARLY, numbers.temperature)
        stopped = f" Stopped early it completes {early.tally}: {_THAN[relation(early, init)]} Init."
    if best.temperature != numbers.temperature:
        control = f" Against Init at its best temperature ({best.temperature:g}: {best.tally}) that is "
        control += f"{_THAN[relation(rl, best)].removesuffix(' than')}."
    else:
        control = ""
    return (
        f"<ul><li><strong>SFT</strong> completes {sft.tally} {chapter.deal}s: {_THAN[relation(sft, init)]} Init "
        f"({init.tally}).{stopped}</li><li><strong>RL</strong> completes {rl.tally}: {_THAN[relation(rl, sft)]} SFT, "
        f"{_THAN[relation(rl, init)]} Init.{control}</li></ul>"
    )


def counts(chapter: Chapter, numbers: Numbers) -> str:
    """The shares of completed deals, with intervals, under both rules; what was measured besides, to be opened."""
    figures = "".join(
        figure(title, [Bar(label, row.done, row.tally) for label, row in compared(numbers, suite)])
        for suite, title in ((TRAINED, "Trained rule"), (CHANGED, "Changed rule"))
    )
    note_below = (
        f'<p class="lk-soft">Share of the held-out {chapter.deal}s that each player completes. Thin lines are 95% '
        "intervals; “more” and “fewer” mean that two do not overlap. Answers are sampled at temperature "
        f"{numbers.temperature:g}; Init’s best, of {_tried(numbers)}, is where it completes most under the changed "
        "rule. One training each: RESULTS.md repeats the comparison with several seeds.</p>"
    )
    return f'<div class="lk app-counts"><div class="app-figures">{figures}</div>{note_below}{_table(numbers)}</div>'


def _tried(numbers: Numbers) -> str:
    tried = [f"{row.temperature:g}" for row in numbers.rows[CHANGED] if row.name == "Init"]
    return listed(tried, "and")


def _table(numbers: Numbers) -> str:
    """Every row, with the paper's measure."""
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Player", "T", "Trained: completed", "paper’s measure", "Changed: completed", "paper’s measure")
    )
    body = "".join(
        f'<tr><th scope="row">{text(row.name)}</th><td data-column="T">{row.temperature:g}</td>'
        + "".join(
            f'<td data-column="{word}">{share.value:.1%} [{share.ci95[0]:.1%}, {share.ci95[1]:.1%}]</td>'
            for word, share in (
                ("Trained", row.done),
                ("paper’s measure", row.headline),
                ("Changed", there.done),
                ("paper’s measure", there.headline),
            )
        )
        + "</tr>"
        for row, there in zip(numbers.rows[TRAINED], numbers.rows[CHANGED], strict=True)
    )
    table = f'<table class="lk app-table app-cards"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return details("All temperatures, and the paper’s measure (right answers of all answers)", table)


def failures(chapter: Chapter, episodes: Mapping[str, Shown | None]) -> list[str]:
    """The players whose recorded episode failed."""
    return [name for name in chapter.players if (s := episodes.get(name)) and not s.episode.success]


def known(chapter: Chapter, names: Collection[str]) -> bool:
    """Whether all players of the story are on offer."""
    return set(chapter.players.values()) <= set(names)
