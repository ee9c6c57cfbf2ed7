"""The form for the note and the tags of the open episode."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.inspect.opened import episode_of, parts_of
from app.inspect.stores import Store
from app.shared.catalogue import public
from app.shared.html import note
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.runs.index import Index
from labkit.runs.notes import Changed, note_of, write_note

Updates = dict[str, Any]
READ_ONLY = "This server was started without notes for this folder; “labkit app --notes DIR” allows them."


def closed() -> Updates:
    """The form while no episode is open."""
    return {"noting": gr.update(visible=False), "note": "", "note tags": "", "edition": 0, "note told": ""}


def form(place: str, index: Index) -> Updates:
    """The form, with what is noted of an episode; closed where there is no such episode."""
    try:
        episode_of(place, index)
        here = index.note(*parts_of(place))
    except UsageError:
        return closed()
    return {
        "noting": gr.update(visible=True),
        "note": here.text,
        "note tags": " ".join(here.tags),
        "edition": here.edition,
        "note told": "",
    }


def save(place: str, store: Store, index: Index, text: str, tags: str, seen: object) -> Updates:
    """Write the note of a stored episode."""
    try:
        # Only what the index lists is written to, so that no path from the browser reaches the disk.
        episode_of(place, index)
        run, name, number = parts_of(place)
        seen = seen if type(seen) is int else 0
        written = write_note(Run(store.root / run), name, number, note_of(text, tags), seen=seen)
    except Changed as error:
        index.refresh()
        now = index.note(run, name, number)
        return {"edition": now.edition, "note told": note(f"Not saved: {error}.", "void")}
    except UsageError as error:
        return {"note told": note(public(f"Not saved: {error}."))}
    return {"edition": written.edition, "note tags": " ".join(written.tags), "note told": note("Saved.", "ok")}
