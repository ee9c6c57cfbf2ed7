"""What the story needs of a game: the picked deal under both rules, and the field of the answer that they decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.general_points import presets as hands
from app.general_points.settings import GeneralPointsSettings
from app.shared.settings import Settings
from app.virl.presets import PICKED
from app.virl.settings import VIRLSettings
from labkit import envs
from labkit.envs.general_points.cards import FACES, face_values, number_of, other_rule
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode
from labkit.views.markup import mark_of, plain, text
from labkit.views.virl import map_html

TRAINED, CHANGED = SUITES = ("id", "rule-ood")
"""The suites of the two rules."""
EARLY = "SFT, stopped early"
"""A control: the earliest checkpoint of SFT that is bundled."""


class Field(NamedTuple):
    """The part of an answer in which the two rules ask for different things."""

    position: int
    """Index of the position; the answer is the first one there."""
    span: tuple[int, int]
    """Its characters in the answer, a half-open range."""
    candidates: tuple[str, ...]
    right: str
    """The candidate that the episode's rule asks for."""
    other: str
    """The candidate that the other rule asks for."""
    name: str
    """What is decided, in words."""


@dataclass(frozen=True)
class Chapter:
    """The story of one game."""

    cell: str
    title: str
    deal: str
    """What a task is called."""
    completes: str
    """What a player does who succeeds."""
    players: Mapping[str, str]
    """The specs of the players that are compared, by title."""
    settings: Mapping[str, Settings]
    """Those of the game's own tab, with the picked deal, by suite."""
    field: Callable[[Episode], Field | None]
    """Finds the decisive field; None where the player never came to answer it."""
    short: Callable[[str], str]
    """A candidate as a word."""
    stage: Callable[[Episode], str]
    """An episode as HTML, small enough for three side by side."""
    deal_in_stage: bool
    """Whether :attr:`stage` shows the deal. If not, the page shows it once, above the players."""

    @property
    def temperature(self) -> float:
        """That of the recorded episodes."""
        return self.settings[TRAINED].value("temperature")


def turn(episode: Episode) -> Field | None:
    """V-IRL: the action at the first turn."""
    for index, here in enumerate(episode.positions):
        state = here.state
        if state["action"] != state["other_action"] and here.attempts:
            span = envs.game(episode.task.cell).decisive_span(here.attempts[0].answer)
            words = (f"turn_direction({word})" for words in ACTIONS.values() for word in words)
            candidates = (*words, "forward()", "stop()")
            name = f"Step {index + 1}: {state['instruction']}"
            return Field(index, span, candidates, state["action"], state["other_action"], name) if span else None
    return None


def face_card(episode: Episode) -> Field | None:
    """GeneralPoints: what the first face card counts as, in the answer's list of numbers."""
    state, attempts = episode.position.state, episode.position.attempts
    faces = [place for place, rank in enumerate(state["cards"]) if rank in ("J", "Q", "K")]
    stated = re.search(r'"number"\s*:\s*\[([^\]]*)\]', attempts[0].answer) if attempts else None
    numbers = list(re.finditer(r"\d+", stated[1])) if stated else []
    if stated is None or not faces or len(numbers) <= faces[0]:
        return None
    rank, number, begin = state["cards"][faces[0]], numbers[faces[0]], stated.start(1)
    candidates = dict.fromkeys(str(value) for rule in FACES for value in face_values(rule).values())
    right, other = (str(number_of(rank, rule)) for rule in (state["faces"], other_rule(state["faces"])))
    span = (begin + number.start(), begin + number.end())
    return Field(0, span, tuple(candidates), right, other, f"Attempt 1: {rank} counts as …")


def formulas(episode: Episode) -> str:
    """GeneralPoints: the attempts, each with its formula."""
    lines = (
        f"<li>{mark_of(a.verdict).html()} <code>{text(plain(a.fields.get('formula', '')))}</code></li>"
        for a in episode.attempts
    )
    return f'<ol class="app-formulas">{"".join(lines)}</ol>'


CHAPTERS = {
    chapter.cell: chapter
    for chapter in (
        Chapter(
            cell="virl-l",
            title="Find the way (V-IRL)",
            deal="route",
            completes="arrives",
            players=PICKED.players,
            settings={suite: VIRLSettings(actions=rule) for suite, rule in zip(SUITES, ACTIONS, strict=True)},
            field=turn,
            short=lambda action: action.removeprefix("turn_direction").strip("()"),
            stage=map_html,
            deal_in_stage=True,
        ),
        Chapter(
            cell="gp-l",
            title="Make 24 (GeneralPoints)",
            deal="hand",
            completes="makes 24",
            players=hands.PLAYERS,
            settings={
                suite: GeneralPointsSettings(cards=hands.FIRST.cards, rule=rule, attempts=hands.ATTEMPTS)
                for suite, rule in zip(SUITES, FACES, strict=True)
            },
            field=face_card,
            short=str,
            stage=formulas,
            deal_in_stage=False,
        ),
    )
}
"""By cell; the first is the one to begin with."""
