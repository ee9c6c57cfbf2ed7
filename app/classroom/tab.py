"""The teacher's screen: the tab Class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from app.classroom import html
from app.classroom.poll import Poll, Standing
from app.shared.tab import QUICK
from app.shared.tab import html as place

SECONDS = 1.0
"""Between two looks at the votes."""
STEPS = {"closed": "Open the vote", "open": "Reveal", "revealed": "Next question"}
PEEK = {False: "Show votes", True: "Hide votes"}


class Classroom(NamedTuple):
    """A class."""

    poll: Poll
    addresses: Sequence[str]
    """Those of the app, without a path; the usual one first."""
    shared: bool
    """Whether other machines can reach them."""


class ClassTab:
    """Asks the class. All windows show the same vote.

    Args:
        classroom: the class that is asked.
    """

    TAB = "class"

    def __init__(self, classroom: Classroom) -> None:
        poll = self.poll = classroom.poll
        with gr.Row(elem_classes="app-class-head"):
            place(value=html.address(classroom.addresses, classroom.shared))
            with gr.Column(min_width=300):
                titles = [(question.title, number) for number, question in enumerate(poll.questions)]
                self.question = gr.Dropdown(titles, value=0, label="Question")
                with gr.Row(elem_classes="app-chips app-onward"):
                    self.onward = gr.Button("", variant="primary", size="lg", min_width=180)
                    self.peek = gr.Button("", size="lg", min_width=120)
        self.board = place(live=True)
        self.seen = gr.State(None)
        self.timer = gr.Timer(SECONDS, active=False)

    def show(self, seen: Standing | None = None) -> dict[Any, Any]:
        """All parts as the vote stands; nothing if that is seen already."""
        now = self.poll.standing()
        if now == seen:
            return gr.skip()
        return {
            self.question: now.number,
            self.onward: STEPS[now.phase],
            self.peek: gr.update(value=PEEK[now.peeked], interactive=now.phase != "revealed"),
            self.board: html.board(self.poll, now),
            self.seen: now,
        }

    def choose(self, number: Any) -> dict[Any, Any]:
        """Turn to a question."""
        # What comes from the browser may be anything.
        if isinstance(number, int):
            self.poll.choose(number)
        return self.show()

    def advance(self, seen: Standing | None) -> dict[Any, Any]:
        """The next step of the vote."""
        if seen:
            self.poll.advance(seen.version)
        return self.show()

    def toggle(self, seen: Standing | None) -> dict[Any, Any]:
        """Show the votes, or hide them."""
        if seen:
            self.poll.peek(not seen.peeked)
        return self.show()

    def open(self, query: Mapping[str, str]) -> dict[Any, Any]:
        """A new window; it follows the votes from the start if its link leads here."""
        return {**self.show(), self.timer: gr.Timer(active=query.get("tab") == self.TAB)}

    def wire(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the events; all are private.

        Args:
            tab: the tab that holds the parts; once opened, a window follows the votes.
        """
        parts = [self.question, self.onward, self.peek, self.board, self.seen]

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.open(dict(request.query_params))

        page.load(opened, None, [*parts, self.timer], **QUICK)
        tab.select(lambda: gr.Timer(active=True), None, self.timer, **QUICK)
        self.question.input(self.choose, self.question, parts, **QUICK)
        self.onward.click(self.advance, self.seen, parts, **QUICK)
        self.peek.click(self.toggle, self.seen, parts, **QUICK)
        self.timer.tick(self.show, self.seen, parts, trigger_mode="once", **QUICK)
