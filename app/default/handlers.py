"""What the tab of any game shows: its deals, and the person's answers as they are typed."""

from __future__ import annotations

from dataclasses import replace

from app.default.settings import options_of, settings_of
from app.shared.catalogue import Catalogue
from app.shared.handlers import Handlers, Updates
from app.shared.html import listed
from app.shared.settings import LAST_SEED, FieldError, Settings, names, with_text
from app.shared.stopping import Line
from app.shared.window import Window
from labkit import envs
from labkit.envs.games import Row
from labkit.episode import Episode, Task
from labkit.views.markup import pre, text
from labkit.views.turns import hand_html


class DefaultHandlers(Handlers[Settings]):
    """The handlers of a game's tab.

    Args:
        row: the game, in the table of games.
    """

    def __init__(self, catalogue: Catalogue, line: Line, row: Row) -> None:
        super().__init__(catalogue, line)
        self.row = row
        self.TAB = row.name
        self.SETTINGS = settings_of(row)
        self.options = tuple(options_of(row))
        self.NOTES = {**dict.fromkeys(names(self.SETTINGS), "note"), "typed": "own note"}
        self.FROZEN = (*names(self.SETTINGS), "new deal", "count")

    def cell(self, chosen: Settings) -> str:
        return chosen.value("cell")

    def deal(self, window: Window[Settings], task: Task) -> Updates:
        episode = envs.start(task)
        rule = self.row.load("view").setting(episode)
        asked = "\n".join(message.text for message in envs.prompt(episode))
        hand = hand_html(episode)
        below = f'<p class="lk">{text(rule)}</p>'
        # A game without a view of its own shows the prompt as its hand.
        if pre(asked) not in hand:
            below += (
                '<details class="lk" open><summary>What the player is asked</summary>'
                f'<div class="app-prompt">{text(asked)}</div></details>'
            )
        return {"hand": hand + below}

    def deal_next(self, window: Window[Settings]) -> Updates:
        """The next deal of the suite."""
        try:
            number = (window.settings.value("number") + 1) % (LAST_SEED + 1)
        except FieldError as error:
            return self.beside(error)
        chosen = with_text(window.settings, "number", str(number))
        return {"number": number, "typed": "", **self.lay(replace(window, settings=chosen))}

    def answer(self, chosen: Settings, own: Episode, typed: str) -> str:
        if not typed.strip():
            raise FieldError("typed", "Type an answer first, in the form that the prompt asks for.")
        if "{" in typed:
            return typed
        # As in the terminal, the fields that a person types will do.
        playing = envs.game(chosen.value("cell"))
        lines = [line for line in map(str.strip, typed.splitlines()) if line]
        values = lines if len(playing.typed) > 1 else [typed]
        if len(values) != len(playing.typed):
            raise FieldError("typed", f"Type {listed(playing.typed, 'and')}, one a line, or the whole answer in JSON.")
        return playing.typed_answer(own, dict(zip(playing.typed, values, strict=True)))
