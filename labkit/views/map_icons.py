"""Icons of landmarks on a map: the colour and the pictogram of the landmark's sign."""

from __future__ import annotations

from functools import lru_cache

from labkit.envs.virl.render.icons import kind_of
from labkit.views.markup import text

UNKNOWN = "#6b7280"
"""The colour of a landmark without a category, as in the routes of a folder."""


def icon(x: float, y: float, size: float, category: str, name: str, *, plain: bool = False) -> str:
    """An icon of ``size`` units around a point, with the landmark's name as its title.

    Args:
        category: the landmark's; empty if unknown.
        plain: draw a dot in the colour, without the pictogram.
    """
    title = f"<title>{text(name)}{f', {text(category)}' if category else ''}</title>"
    paint = kind_of(category).paint if category else UNKNOWN
    if plain or not category:
        return (
            f'<circle class="lk-mark-dot" cx="{x:.1f}" cy="{y:.1f}" r="{size / 2 - 1:.1f}" '
            f'fill="{paint}">{title}</circle>'
        )
    at = f"translate({x - size / 2:.1f} {y - size / 2:.1f}) scale({size:g})"
    return (
        f'<g class="lk-landmark" transform="{at}">{title}'
        f'<rect width="1" height="1" rx=".18" fill="{paint}"/>{_pictogram(category)}</g>'
    )


@lru_cache(maxsize=256)
def _pictogram(category: str) -> str:
    """The shapes of :data:`labkit.envs.virl.render.icons.KINDS` in the unit square; else the category's initial."""
    kind = kind_of(category)
    if not kind.pictogram:
        initial = text(category[:1].upper())
        return f'<text x=".5" y=".77" font-size=".75" text-anchor="middle" fill="#fff">{initial}</text>'
    shapes = []
    for shape in kind.pictogram.split(";"):
        command, *numbers = shape.split()
        paint = "#fff" if command.isupper() else kind.paint
        if command in "Dd":
            across, down, radius, *tall = numbers
            high = tall[0] if tall else radius
            shapes.append(f'<ellipse cx="{across}" cy="{down}" rx="{radius}" ry="{high}" fill="{paint}"/>')
        elif command in "Ll":
            thickness, *points = numbers
            shapes.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{paint}" stroke-width="{thickness}"/>'
            )
        else:
            shapes.append(f'<polygon points="{" ".join(numbers)}" fill="{paint}"/>')
    return "".join(shapes)
