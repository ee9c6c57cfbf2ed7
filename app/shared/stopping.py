"""Who plays and who waits: a ticket for each seat, with the flag that its Stop button raises."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

AT_ONCE = 8
"""Seats that play side by side; the models among them still answer one at a time."""
CLASS = 40
"""Windows that the line has room for, with three seats each."""
MOST = 3 * CLASS


@dataclass(frozen=True, slots=True)
class Key:
    """A seat of a tab of a browser window."""

    session: str
    tab: str
    seat: int


@dataclass(slots=True, eq=False)
class Ticket:
    """One run of a seat, asked for by its Play button."""

    stopped: threading.Event = field(default_factory=threading.Event)
    taken: bool = False


class Line:
    """The tickets of all windows, in the order in which they were drawn."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._tickets: dict[Key, Ticket] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def full(self) -> bool:
        return len(self._tickets) >= self.most

    def draw(self, key: Key) -> Ticket:
        """A new ticket for a seat; the seat's older run is told to end."""
        self.stop(key)
        self._tickets[key] = Ticket()
        return self._tickets[key]

    def take(self, key: Key) -> Ticket | None:
        """The seat's ticket, for the run that begins; None where there is none, or its run has begun already."""
        ticket = self._tickets.get(key)
        if ticket is None or ticket.taken:
            return None
        ticket.taken = True
        return ticket

    def holds(self, key: Key, ticket: Ticket) -> bool:
        """Whether the ticket is still the seat's: not stopped, and not followed by another run's."""
        return self._tickets.get(key) is ticket

    def waiting(self, key: Key) -> int:
        """The seat's place among those that wait for their turn, from 1; 0 where it need not wait."""
        place = next((n for n, known in enumerate(self._tickets, 1) if known == key), 0)
        return max(0, place - AT_ONCE)

    def running(self, session: str, tab: str) -> list[int]:
        """The seats of a window's tab that play, or wait to."""
        return [key.seat for key in self._tickets if (key.session, key.tab) == (session, tab)]

    def stop(self, key: Key) -> None:
        """Raise the flag of the seat's run, if it has one, and forget it."""
        ticket = self._tickets.pop(key, None)
        if ticket is not None:
            ticket.stopped.set()

    def leave(self, session: str) -> None:
        """End all runs of a window that was closed."""
        for key in [key for key in self._tickets if key.session == session]:
            self.stop(key)
