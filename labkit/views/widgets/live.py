"""Shared parts of the live widgets, and their static form for pages without a kernel.

Importing this module removes the upload button from Plotly's own figures in the notebook.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from labkit.errors import UsageError

if TYPE_CHECKING:
    from IPython.display import HTML
    from plotly.graph_objects import Figure

CONFIG = {"displaylogo": False, "showSendToCloud": False}
"""The settings of every figure in a notebook: no button that uploads it to Plotly, and no link to Plotly."""


def _offer_no_upload() -> None:
    try:
        import plotly.io as pio
    except ImportError:
        return
    pio.renderers["plotly_mimetype"].config = dict(CONFIG)


_offer_no_upload()


def ipywidgets(what: str) -> Any:
    """The package, imported.

    Raises:
        UsageError: ipywidgets is not installed; the message names ``what`` and the alternative.
    """
    try:
        import ipywidgets as widgets
    except ImportError:
        raise UsageError(f"{what} needs ipywidgets (pip install ipywidgets); .static() does not") from None
    return widgets


def show(widget: Any, fallback: dict[str, Any]) -> None:
    """Display a widget, together with its static form for a page without a kernel.

    Args:
        widget: an ipywidgets widget.
        fallback: other forms by their MIME type, ``text/plain`` among them.
    """
    from IPython.display import display

    display({**widget._repr_mimebundle_(), **fallback}, raw=True)


def show_or_static(widget: Callable[[], Any], static: HTML, said: str) -> None:
    """Display a widget with its HTML for a page without a kernel, or the HTML alone where ipywidgets is not installed.

    Args:
        widget: makes the widget.
        said: what it is, in plain text.
    """
    from IPython.display import display

    try:
        live = widget()
    except UsageError:
        display(static)
        return
    show(live, {"text/html": static.data, "text/plain": said})


def live_figure(what: str) -> Any:
    """A widget that draws its ``figure``; ``clicked`` is [trace, point, time] of a click.

    It replaces plotly's FigureWidget, whose script is the whole of plotly.js: a slow machine does not
    read it within the two seconds that anywidget 0.11 waits; the figure then stays empty for good. And where a page is
    opened again it shows the figure as it was when it was made.

    Raises:
        UsageError: anywidget is not installed.
    """
    return _figure_class(what)()


def live_cells(what: str, html: str) -> Any:
    """A widget of markup; ``pressed`` is [number, time] of the last of its buttons with ``data-cell`` to be pressed.

    Raises:
        UsageError: anywidget is not installed.
    """
    return _cells_class(what)(html=html)


def figure_data(figure: Figure) -> dict[str, Any]:
    """A figure as plain JSON data, with :data:`CONFIG` for pages that draw it without the widget."""
    return {**json.loads(figure.to_json()), "config": dict(CONFIG)}


@cache
def _figure_class(what: str) -> Any:
    import traitlets
    from plotly.offline import get_plotlyjs

    anywidget: Any = _anywidget(what)

    class LiveFigure(anywidget.AnyWidget):
        _esm = _script("figure.js")
        library = traitlets.Unicode(get_plotlyjs()).tag(sync=True)
        figure = traitlets.Dict({"data": [], "layout": {}}).tag(sync=True)
        clicked = traitlets.List().tag(sync=True)

    return LiveFigure


@cache
def _cells_class(what: str) -> Any:
    import traitlets

    anywidget: Any = _anywidget(what)

    class Cells(anywidget.AnyWidget):
        _esm = _script("cells.js")
        html = traitlets.Unicode().tag(sync=True)
        pressed = traitlets.List().tag(sync=True)

    return Cells


def _script(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _anywidget(what: str) -> Any:
    try:
        import anywidget
    except ImportError:
        raise UsageError(f"{what} needs anywidget (pip install anywidget); .static() does not") from None
    return anywidget
