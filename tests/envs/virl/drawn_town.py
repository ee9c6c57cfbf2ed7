"""A town of two streets, made by hand, whose colours tell what a pixel shows.

North Street runs along x = 0 from y = 0 to y = 200, 20 m wide. From (0, 100), East Street leaves it to the
east. Blocks of red (low) and blue (high) houses line both; to the west there is one unbroken red block. Haze
is switched off, signs are pure magenta, so that pixels can be told by their colour alone.
"""

from __future__ import annotations

from labkit.envs.virl.records import Building, City, Landmark, LatLng, Point, Street

MAGENTA = (255, 0, 255)
RED = {
    "walls": ("#ff0000",),
    "trim": "#ff0000",
    "glass": "#ff0000",
    "door": "#ff0000",
    "roof": "#ff0000",
    "top": "flat",
    "shops": 0.0,
}
BLUE = RED | dict.fromkeys(("trim", "glass", "door", "roof"), "#0000ff") | {"walls": ("#0000ff",)}
LOOK = {
    "sky": {"top": "#ffffff", "horizon": "#ffffff"},
    "palette": {"road": "#404040", "marking": "#404040", "pavement": "#c0c0a0", "kerb": "#c0c0a0", "ground": "#80a080"},
    "signage": {"board": "#ff00ff", "ink": "#ff00ff"},
    "styles": {"red": RED, "blue": BLUE},
    "haze": 1e12,
    "trees": 0,
}


def block(
    left: float,
    bottom: float,
    right: float,
    top: float,
    height: float,
    style: str = "red",
) -> Building:
    """An upright rectangle on the map."""
    corners = ((left, bottom), (right, bottom), (right, top), (left, top))
    return Building(tuple(Point(*corner) for corner in corners), height, style)


def town(*landmarks: Landmark, buildings: tuple[Building, ...] | None = None) -> City:
    """The town, with landmarks, or with other buildings than its own."""
    nodes = (Point(0, 0), Point(0, 100), Point(0, 200), Point(400, 100))
    streets = (
        Street(0, 1, nodes[:2], 20.0, "North Street"),
        Street(1, 2, nodes[1:3], 20.0, "North Street"),
        Street(1, 3, (nodes[1], nodes[3]), 20.0, "East Street"),
    )
    if buildings is None:
        buildings = (
            block(-24, -20, -10, 220, 12),
            block(10, -20, 200, 90, 12),
            block(10, 110, 200, 220, 12),
        )
    return City("testtown", "by hand", 0, LatLng(0, 0), nodes, streets, buildings, landmarks, LOOK)


def plain(*landmarks: Landmark, buildings: tuple[Building, ...] = ()) -> City:
    """Nothing but landmarks and buildings on a plain."""
    return City("plain", "by hand", 0, LatLng(0, 0), (), (), buildings, landmarks, LOOK)


def shop(x: float, y: float, facing: float, category: str = "cafe") -> Landmark:
    return Landmark("Corner Place", category, Point(x, y), facing, 0)
