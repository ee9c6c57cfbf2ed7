"""What a class can be asked: the predictions of the story, with their recorded answers."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.bars import Bar, figure
from app.shared.html import listed, note
from app.shared.recordings import recorded
from app.story import html as story
from app.story.chapters import CHANGED, CHAPTERS, Chapter
from app.story.numbers import NUMBERS, Relation, relation
from app.story.settings import GUESS
from labkit.errors import UsageError
from labkit.views.markup import text
from labkit.views.turns import ended_html

FAILING = ((), ("SFT",), ("Init", "SFT"), ("Init", "SFT", "RL"))
"""The usual choices for who fails on one deal."""
RELATIONS: dict[Relation, str] = {
    "above": "clearly more",
    "unclear": "neither clearly more nor clearly fewer",
    "below": "clearly fewer",
}
"""The choices for how a count compares with Init's."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a few choices, one of which is right."""

    title: str
    given: str
    """What the class has to know, as HTML."""
    asked: str
    choices: tuple[str, ...]
    right: int
    """Index of the right choice."""
    answer: str
    """What was recorded, as HTML."""


def questions() -> tuple[Question, ...]:
    """Of each game in the order of the story: who fails on the picked deal, and how SFT and RL do on all."""
    return tuple(
        question
        for chapter in CHAPTERS.values()
        for question in (_who_fails(chapter), _compared(chapter, "SFT"), _compared(chapter, "RL"))
    )


def _who_fails(chapter: Chapter) -> Question:
    """Who fails on the picked deal under the changed rule.

    Raises:
        UsageError: a player's episode is not recorded.
    """
    task = chapter.settings[CHANGED].task
    episodes = {name: shown for name, spec in chapter.players.items() if (shown := recorded(task, spec))}
    if missing := [spec for name, spec in chapter.players.items() if name not in episodes]:
        raise UsageError(f"the class needs the recorded episode of {missing[0]}; get labkit/bundled with the clone")
    failing = tuple(story.failures(chapter, episodes))
    # What was recorded is a choice, also where the usual ones lack it.
    choices = tuple(dict.fromkeys((*FAILING, failing)))
    ends = "".join(
        f"<li><strong>{text(name)}</strong> {ended_html(shown.episode)}</li>" for name, shown in episodes.items()
    )
    picked = note(f"This {chapter.deal} was picked to show the difference. The next questions count all.", "plain")
    return Question(
        f"{chapter.title}: who fails?",
        f"{story.told(chapter, GUESS, (), (), NUMBERS[chapter.cell])}{story.deal(chapter, GUESS, task)}",
        f"Which of the three players fail on this {chapter.deal} under the changed rule?",
        tuple(listed(names, "and") or "None of them" for names in choices),
        choices.index(failing),
        f'<ul class="app-ends">{ends}</ul>{picked}',
    )


def _compared(chapter: Chapter, name: str) -> Question:
    """How many of all held-out deals a player completes under the changed rule, compared with Init."""
    numbers = NUMBERS[chapter.cell]
    init, own = (numbers.row(CHANGED, player, numbers.temperature) for player in ("Init", name))
    found = relation(own, init)
    bars = figure("Changed rule", [Bar(row.name, row.done, row.tally) for row in (init, own)])
    told = (
        f"{name} completes {own.tally} {chapter.deal}s, Init {init.tally}: {RELATIONS[found]}. “Clearly” means that "
        "the 95% intervals, the thin lines, do not overlap."
    )
    return Question(
        f"{chapter.title}: how does {name} do?",
        story.told(chapter, GUESS, (), (), numbers),
        f"Under the changed rule, does {name} complete more or fewer of all held-out {chapter.deal}s than Init?",
        tuple(words.capitalize() for words in RELATIONS.values()),
        list(RELATIONS).index(found),
        f'<p>{text(told)}</p><div class="app-figures">{bars}</div>',
    )
