"""Build the page and serve it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

# Gradio reads this when it is imported: nothing is sent anywhere.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from starlette.middleware import Middleware

from app import api, guide, serving
from app.classroom import phones
from app.classroom.poll import Poll
from app.classroom.questions import questions
from app.classroom.tab import Classroom, ClassTab
from app.default.tab import DefaultTab
from app.general_points.tab import GeneralPointsTab
from app.inspect.handlers import InspectHandlers
from app.inspect.stores import Store, stores_of
from app.inspect.tab import InspectTab
from app.rules import photo
from app.rules import tab as rules
from app.shared.catalogue import Catalogue, catalogue_of
from app.shared.stopping import Line
from app.shared.tab import QUICK, Tab
from app.story.chapters import CHAPTERS
from app.story.tab import StoryTab
from app.train.handlers import TrainHandlers
from app.train.tab import TrainTab
from app.train.trainer import Trainer
from app.virl.tab import VIRLTab
from app.whatif.handlers import WhatIfHandlers
from app.whatif.sources import sources_of
from app.whatif.tab import WhatIfTab
from labkit.envs import games
from labkit.views.markup import stylesheet

PORT = 7860
HEADER = (
    '<header class="lk app-header"><h1>labkit</h1> '
    "<span>An environment deals, a player answers, a verifier judges, and the verdict goes back into the "
    'dialogue.</span> <a class="app-skip" href="#play" data-skip>Skip to Play</a></header>'
)


TABS: dict[str, Callable[[Catalogue, Line], Tab]] = {"gp": GeneralPointsTab, "virl": VIRLTab}
"""The games with a tab of their own; others get the default one."""


def build(
    catalogue: Catalogue,
    stores: Sequence[Store] | None = None,
    trainer: Trainer | None = None,
    classroom: Classroom | None = None,
) -> gr.Blocks:
    """The page; neither served nor any model loaded.

    Args:
        stores: the folders of runs that can be inspected; those of the working directory and of the clone by default.
        trainer: trains the runs that the page starts.
        classroom: the class that a tab asks; without one there is no such tab.
    """
    line = Line()
    with gr.Blocks(title="labkit", fill_width=True, analytics_enabled=False) as page:
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("The finding", id="story"):
                played: list[Tab] = [StoryTab(catalogue, line)]
            for row in games.rows():
                with gr.Tab(row.title, id=row.name):
                    own = TABS.get(row.name)
                    played.append(own(catalogue, line) if own else DefaultTab(catalogue, line, row))
            with gr.Tab("Inspect", id=InspectHandlers.TAB) as inspected:
                found = stores_of() if stores is None else stores
                inspect = InspectTab(found, catalogue)
            with gr.Tab("What if", id=WhatIfHandlers.TAB):
                forks = WhatIfTab(catalogue, line, sources_of(played[1:], inspect.handlers))
            with gr.Tab("Train", id=TrainHandlers.TAB) as trained:
                train = TrainTab(found, trainer)
            with gr.Tab("Rule lab", id="rules"):
                rules.build()
                photo.build(catalogue)
            if classroom:
                with gr.Tab("Class", id=ClassTab.TAB) as asked:
                    teacher = ClassTab(classroom)
                teacher.wire(page, asked)
            with gr.Tab("Guide", id="about"):
                gr.HTML(guide.guide_html(), apply_default_css=False)
        for tab in played:
            tab.wire(page)
        inspect.wire(page, inspected)
        forks.wire(page)
        for tab in played[1:]:
            forks.opened_by_seats(tab, tabs)
        forks.opened_by_stored(inspect, tabs)
        train.wire(page, trained)
        ids = [tab.id for tab in tabs.children]
        # Whoever names a player wants to see it play.
        first = ids[1] if catalogue.named else ids[0]

        def opened(request: gr.Request) -> Any:
            wanted = request.query_params.get("tab")
            return gr.update(selected=wanted if wanted in ids else first)

        def closed(request: gr.Request) -> None:
            line.leave(request.session_hash or "")

        page.load(opened, None, tabs, **QUICK)
        page.unload(closed)
        api.publish(catalogue)
    # The line of players has its own limit, which is told to whoever comes too late.
    page.queue(max_size=None, default_concurrency_limit=4)
    return page


def launch_options(host: str = "127.0.0.1", classroom: Classroom | None = None) -> dict[str, Any]:
    """How the page is served, wherever it is: no share, no telemetry, no run history, no files, no foreign Host.

    Args:
        classroom: the class whose phones get a page of their own.
    """
    static = files("app") / "static"
    style, panels, asked, script = (
        static.joinpath(name).read_text(encoding="utf-8")
        for name in ("style.css", "panels.css", "class.css", "page.js")
    )
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(
        # White on this blue is 5.2 : 1; on the default one it is 3.7 : 1.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
    return {
        "share": False,
        "show_error": True,
        "run_history": False,
        "footer_links": ["api", "settings"],
        "theme": theme,
        # Not as `css`, which gradio rewrites rule by rule: shorthands with variables do not survive that.
        "head": f"<style>{stylesheet()}{style}{panels}{asked}</style><script>{script}</script>",
        "allowed_paths": [],
        "quiet": True,
        "app_kwargs": {
            "middleware": [Middleware(serving.Guard, hosts=serving.hosts_of(host))],
            "routes": phones.routes(classroom.poll) if classroom else [],
        },
    }


def run(
    players: Sequence[str] = (),
    *,
    host: str = "127.0.0.1",
    auth: str | None = None,
    auth_file: str | None = None,
    port: int = PORT,
    notes: Sequence[str] = (),
    asks: bool = False,
    debug: bool = False,
) -> None:
    """Serve the app until it is interrupted.

    Args:
        players: further players to offer, by spec or as ``NAME=SPEC``; the first is chosen at the start.
        host: the address to listen on; any but a loopback address needs a password.
        auth: ``user:password``.
        auth_file: a file whose first line is ``user:password``. Without both, the environment variable
            ``LABKIT_AUTH`` counts.
        port: the port wanted; when it is taken, a free one is used and printed.
        notes: folders in whose runs visitors may write notes.
        asks: whether there is a class to be asked: a tab for the teacher and a page for phones.
        debug: print the traceback of a player that fails.

    Raises:
        UsageError: a host without a password, a password in another form, or a player or folder that does not exist.
    """
    if debug:
        console = logging.getLogger("app")
        console.setLevel(logging.DEBUG)
        console.addHandler(logging.StreamHandler())
    credentials = serving.credentials(host, auth, auth_file)
    stores = stores_of(notes)
    free = serving.free_port(host, port)
    if free != port:
        print(f"Port {port} is taken; using {free}.")
    catalogue = catalogue_of(players)
    if catalogue.named:
        print(f"Loading {', '.join(catalogue.named)} …", flush=True)
        catalogue.try_named()
    else:
        threading.Thread(target=catalogue.warm_up, args=(next(iter(CHAPTERS)),), daemon=True).start()
    addresses = serving.addresses(host, free)
    classroom = Classroom(Poll(questions()), addresses, not serving.is_loopback(host)) if asks else None
    page = build(catalogue, stores, classroom=classroom)
    print(f"labkit is at {' or '.join(addresses)} (Ctrl+C ends it)")
    if classroom:
        print(f"Phones vote at {' or '.join(f'{address}/class' for address in addresses)}")
    page.launch(server_name=host, server_port=free, auth=credentials, **launch_options(host, classroom))
