"""Windows on the GeneralPoints tab, and what its handlers do to them."""

import re
from dataclasses import replace
from html import unescape

from app.general_points.settings import GeneralPointsSettings
from app.shared.window import Seat, Window

TRAP_HAND = {"cards": "K 6 2 4", "rule": "eleven-twelve-thirteen"}


def words(html: str) -> str:
    """The text of a piece of HTML, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def cards_in(html: str) -> int:
    return html.count("<article")


def window(*players, session="me", **settings):
    """A window on K 6 2 4 with K = 13, unless the settings say otherwise."""
    players = players or ("trap",)
    seats = tuple(Seat(players[min(i, len(players) - 1)]) for i in range(3))
    return Window(GeneralPointsSettings(**(TRAP_HAND | settings)), seats, len(players), session=session)


def after(here, updates):
    """The window with what a handler put into its states."""
    seats = tuple(replace(seat, shown=updates.get((i, "shown"), seat.shown)) for i, seat in enumerate(here.seats))
    return replace(here, seats=seats, own=updates.get("own", here.own))


def played(table, here, index=0):
    """All that a press of a seat's Play button shows, the last updates of each part at the end."""
    pressed = table.press(here, index)
    steps = list(table.run(here, index))
    last = {}
    for step in (pressed, *steps):
        last |= step
    return steps, last
