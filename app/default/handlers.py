"""What the tab of any game shows: its deals, and the person's answers as they are typed."""

from __future__ import annotations

from dataclasses import replace

from app.default.settings import options_of, settings_of
from app.shared.catalogue import Catalogue
from app.shared.handlers import Handlers, Updates
from app.shared.settings import LAST_SEED, FieldError, Settings, names
from app.shared.stopping import Line
from app.shared.window import Window
from labkit import envs
from labkit.envs.games import Row
from labkit.episode import Episode, Task
from labkit.views.markup import text
from labkit.views.turns import hand_html


class DefaultHandlers(Handlers):
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
        return chosen.cell

    def deal(self, window: Window, task: Task) -> Updates:
        episode = envs.start(task)
        rule = self.row.load("view").setting(episode)
        asked = "\n".join(message.text for message in envs.prompt(episode))
        said = (
            f'<p class="lk">{text(rule)}</p><details class="lk" open><summary>What the player is asked</summary>'
            f'<div class="app-prompt">{text(asked)}</div></details>'
        )
        return {"hand": hand_html(episode) + said}

    def deal_next(self, window: Window) -> Updates:
        """The next deal of the suite."""
        try:
            number = (window.settings.value("number") + 1) % (LAST_SEED + 1)
        except FieldError as error:
            return self.beside(error)
        chosen = replace(window.settings, number=number)
        return {"number": number, "typed": "", **self.lay(replace(window, settings=chosen))}

    def answer(self, chosen: Settings, own: Episode, typed: str) -> str:
        if not typed.strip():
            raise FieldError("typed", "Type an answer first, in the form that the prompt asks for.")
        playing = envs.game(chosen.cell)
        # As in the terminal, the decisive field alone will do.
        alone = len(playing.typed) == 1 and "{" not in typed
        return playing.typed_answer(own, {playing.typed[0]: typed}) if alone else typed
