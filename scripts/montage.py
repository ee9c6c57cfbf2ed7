"""Draw docs/images/cities.png: a street view of each of the ten cities, with its name.

python scripts/montage.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from labkit.envs.virl.city.cities import city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.records import to_point
from labkit.envs.virl.render.views import street_view

OUT = Path(__file__).parents[1] / "docs" / "images" / "cities.png"
CORNERS = {
    "latticeport": 4, "sternholm": 3, "oldwick": 4, "grachtenveen": 5, "cerroalto": 5,
    "sektorova": 1, "rambladora": 2, "longwater": 1, "crescombe": 4, "favolina": 0,
}  # fmt: skip
"""Which turning point of the first routes shows what is particular to a city."""
ACROSS, VIEW, GAP, LINE = 5, 300, 8, 26
"""Views in a row; pixels of a view, between views, and of a line of text."""
SKY, ROAD = 24, 240
"""The rows of a view that are shown: the rest is more of the same."""


def montage() -> Image.Image:
    """The cities row by row, the training city first."""
    rows, high = -(-len(CORNERS) // ACROSS), ROAD - SKY + LINE + GAP
    sheet = Image.new("RGB", (ACROSS * (VIEW + GAP) + GAP, rows * high + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, (name, corner) in enumerate(CORNERS.items()):
        left, top = GAP + number % ACROSS * (VIEW + GAP), GAP + number // ACROSS * high
        sheet.paste(characteristic_view(name, corner).crop((0, SKY, VIEW, ROAD)), (left, top))
        pen.text((left + VIEW / 2, top + ROAD - SKY + LINE / 2), name, "black", font, anchor="mm")
    return sheet


def characteristic_view(name: str, corner: int) -> Image.Image:
    """From a turning point, facing as one arrives there."""
    there = city(name)
    turning = [m for route in routes(there, 4, split="eval") for m in route.milestones[1:-1]]
    here = turning[corner]
    return street_view(there, to_point(here.place, there.origin), here.arriving, VIEW)


if __name__ == "__main__":
    montage().save(OUT, optimize=True)
