"""Build the page and serve it."""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

# Read by gradio when it is imported: nothing is sent anywhere.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from app import api, guide, rule_lab
from app.general_points import GeneralPointsTab
from app.players import Catalogue, catalogue_of
from app.virl import WalkTab
from labkit.errors import UsageError
from labkit.views.markup import stylesheet

PORT = 7860
HEADER = (
    '<header class="lk app-header"><h1>labkit</h1> '
    "<span>An environment deals, a player answers, a verifier judges, and the verdict goes back into the "
    "dialogue.</span></header>"
)


def build(catalogue: Catalogue) -> gr.Blocks:
    """The page; neither served nor any model loaded."""
    with gr.Blocks(title="labkit", fill_width=True, analytics_enabled=False) as page:
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Tabs() as tabs:
            with gr.Tab("GeneralPoints", id="gp"):
                table = GeneralPointsTab(catalogue)
            with gr.Tab("V-IRL", id="virl"):
                walk = WalkTab(catalogue)
            with gr.Tab("Rule lab", id="rules"):
                rule_lab.build()
            with gr.Tab("How to read this", id="about"):
                gr.HTML(guide.guide_html(), apply_default_css=False)
        table.wire(page, tabs)
        walk.wire(page)
        api.publish(catalogue)
    page.queue(max_size=16, default_concurrency_limit=4)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is served, wherever it is: no share, no telemetry, no run history, no files."""
    style, script = (files("app").joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
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
        "head": f"<style>{stylesheet()}{style}</style><script>{script}</script>",
        "allowed_paths": [],
        "max_file_size": "1mb",
        "quiet": True,
    }


def run(players: Sequence[str] = (), *, host: str = "127.0.0.1", auth: str | None = None, port: int = PORT) -> None:
    """Serve the app until it is interrupted.

    Args:
        players: further players to offer, by spec; the first is the one chosen at the start.
        host: the address to listen on; any but a loopback address needs ``auth``.
        auth: ``user:password``.
        port: the port wanted; when it is taken, a free one is used and printed.

    Raises:
        UsageError: a host without auth, auth in another form, or a player that does not exist.
    """
    credentials = _credentials(host, auth)
    free = _free_port(host, port)
    if free != port:
        print(f"Port {port} is taken; using {free}.")
    catalogue = catalogue_of(players)
    page = build(catalogue)
    threading.Thread(target=catalogue.warm_up, daemon=True).start()
    print(f"labkit is at http://{host}:{free} (Ctrl+C ends it)")
    page.launch(server_name=host, server_port=free, auth=credentials, **launch_options())


def _credentials(host: str, auth: str | None) -> tuple[str, str] | None:
    user, colon, password = (auth or "").partition(":")
    if auth and not (user and colon and password):
        raise UsageError("--auth is user:password")
    if not auth and not _is_loopback(host):
        raise UsageError(f"--host {host} opens the app to others: add --auth user:password")
    return (user, password) if auth else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _free_port(host: str, port: int) -> int:
    """The port, or any free one when it is taken."""
    for wanted in (port, 0):
        try:
            with socket.create_server((host, wanted)) as server:
                return server.getsockname()[1]
        except OSError as error:
            refused = error
    raise UsageError(f"cannot listen on {host}: {refused.strerror}; choose another --host or --port")
