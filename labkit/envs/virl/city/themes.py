"""What sets the cities apart besides their plans: colours, facades, skies, signs, and the words on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "bakery": ("Bakery", "Bread House"),
    "bank": ("Bank", "Savings Bank"),
    "barber": ("Barbers", "Hair Salon"),
    "bar": ("Bar", "Wine Room"),
    "bookshop": ("Books", "Book Cellar"),
    "cafe": ("Cafe", "Coffee House"),
    "chapel": ("Chapel", "Meeting House"),
    "church": ("Church", "Minster"),
    "cinema": ("Cinema", "Picture House"),
    "clinic": ("Clinic", "Surgery"),
    "clock tower": ("Clock Tower", "Clock Gate"),
    "fire station": ("Fire Station", "Engine House"),
    "florist": ("Flowers", "Florist"),
    "gallery": ("Gallery", "Art Rooms"),
    "grocer": ("Grocer", "Provisions"),
    "gym": ("Gym", "Boxing Hall"),
    "hardware": ("Hardware", "Tools"),
    "hotel": ("Hotel", "Guest House"),
    "library": ("Library", "Reading Room"),
    "market hall": ("Market Hall", "Arcade"),
    "mosque": ("Mosque", "Prayer Hall"),
    "museum": ("Museum", "Collection"),
    "pharmacy": ("Pharmacy", "Chemist"),
    "police station": ("Police Station", "Watch House"),
    "post office": ("Post Office", "Mail Depot"),
    "restaurant": ("Restaurant", "Kitchen"),
    "school": ("School", "Academy"),
    "station": ("Station", "Tram Depot"),
    "tailor": ("Tailor", "Cloth House"),
    "temple": ("Temple", "Shrine"),
    "theatre": ("Theatre", "Playhouse"),
    "toy shop": ("Toys", "Toy Box"),
}
"""Kinds of landmark, and what their signs may call them. A city has most of them, not all."""

PER_CITY = 26
"""Kinds of landmark in one city."""


def names(words: Sequence[str], rng: Random) -> Iterator[tuple[str, str]]:
    """Names for landmarks with their categories, without end and without repetition; kinds in turn."""
    kinds = rng.sample(sorted(CATEGORIES), PER_CITY)
    used: set[str] = set()
    while True:
        for category in rng.sample(kinds, len(kinds)):
            name = f"{rng.choice(words)} {rng.choice(CATEGORIES[category])}"
            while name in used:
                name = f"{rng.choice(words)} & {rng.choice(words)} {rng.choice(CATEGORIES[category])}"
            used.add(name)
            yield name, category


def _style(
    walls: str,
    trim: str,
    glass: str,
    door: str,
    roof: str,
    window: str,
    top: str,
    floor: float = 3.4,
    bay: float = 3.4,
    **more: Any,
) -> Mapping[str, Any]:
    """A facade style; ``walls`` lists its wall colours."""
    return {
        "walls": tuple(walls.split()),
        "trim": trim,
        "glass": glass,
        "door": door,
        "roof": roof,
        "window": window,
        "top": top,
        "floor": floor,
        "bay": bay,
        **more,
    }


def _look(
    sky: str,
    horizon: str,
    road: str,
    pavement: str,
    marking: str,
    grass: str,
    water: str,
    leaf: str,
    board: str,
    ink: str,
    script: str,
    styles: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> Mapping[str, Any]:
    """All that the drawing reads; colours as #rrggbb. ``more``: see :mod:`labkit.envs.virl.render.scene`."""
    return {
        "sky": {"top": sky, "horizon": horizon},
        "palette": {
            "road": road,
            "pavement": pavement,
            "marking": marking,
            "grass": grass,
            "water": water,
            "leaf": leaf,
        },
        "signage": {"board": board, "ink": ink, "script": script},
        "styles": styles,
        **more,
    }


LOOKS: Mapping[str, Mapping[str, Any]] = {
    "grid": _look(
        "#5b9bd8",
        "#cfe3f2",
        "#4a4c50",
        "#b4b1aa",
        "#e8c84a",
        "#6f9a58",
        "#4f86a8",
        "#4d7a3c",
        "#1f4d3a",
        "#ffffff",
        "block",
        {
            "brownstone": _style(
                "#8a4f3d #9c6047 #7a4636", "#d9c3a5", "#4d6478", "#3a241c", "#4b4340", "tall", "cornice"
            ),
            "brick": _style("#a8573f #b86b4b #93492f", "#e7dcc8", "#5a7388", "#2f4a3c", "#514a47", "square", "flat"),
            "glass tower": _style(
                "#7f95a6 #93a6b3 #6c8394",
                "#cfd8de",
                "#4f7694",
                "#39424a",
                "#5d666d",
                "ribbon",
                "flat",
                3.8,
                3.0,
                shops=0.75,
            ),
        },
        trees=22.0,
    ),
    "radial": _look(
        "#8fb2d4",
        "#eef0e6",
        "#595651",
        "#c6bca8",
        "#f2f2ee",
        "#7ba05a",
        "#5a8fae",
        "#5d8a45",
        "#5a1f2a",
        "#f4e4b8",
        "roman",
        {
            "imperial": _style(
                "#e8dcc0 #e2cfa8 #efe6d2",
                "#fbf7ec",
                "#6d8296",
                "#5b4632",
                "#6e7f86",
                "tall",
                "mansard",
                4.0,
                3.2,
                balcony=True,
            ),
            "rose": _style(
                "#dba893 #e3b7a0 #cf9a86", "#f7efe4", "#73879a", "#5b3a34", "#6e7f86", "arched", "mansard", 3.8
            ),
        },
        trees=12.0,
        sun=160.0,
    ),
    "organic": _look(
        "#9aaec0",
        "#e4e2d8",
        "#6b655c",
        "#a1978a",
        "#cfc8ba",
        "#6d8a4e",
        "#5f7f8a",
        "#56733b",
        "#3a2a1c",
        "#f0d9a0",
        "gothic",
        {
            "timber": _style(
                "#efe4cc #e8d7b4 #f3ecdc",
                "#5a3b26",
                "#6a7466",
                "#4a2f1d",
                "#7d3f2e",
                "square",
                "gable",
                2.9,
                2.8,
                shutters="#5a3b26",
            ),
            "stone": _style(
                "#b3a68f #a8997f #bfb39d", "#8c7f6b", "#5d6a70", "#3d2c20", "#5b5a5e", "arched", "gable", 3.0
            ),
        },
        trees=0.0,
        haze=260.0,
        sun=120.0,
    ),
    "canals": _look(
        "#a9bfd0",
        "#f1eee6",
        "#7a5248",
        "#9d8f86",
        "#e9e4da",
        "#79985c",
        "#3f6a70",
        "#62854a",
        "#12243c",
        "#f7f3e8",
        "slender",
        {
            "gabled": _style(
                "#6e3b2e #84473a #54352f #9a5a45", "#f4efe4", "#46586a", "#1f3d30", "#8b4a35", "tall", "gable", 3.3, 2.4
            ),
            "merchant": _style(
                "#3f3c3d #5b4a46 #2f3a44", "#efe9dd", "#5b6e80", "#23352c", "#4d4a4c", "tall", "cornice", 3.5, 2.6
            ),
        },
        trees=14.0,
        haze=320.0,
        sun=190.0,
    ),
    "hills": _look(
        "#6fb4e0",
        "#fbeed6",
        "#8a8178",
        "#c9b79c",
        "#efe7d6",
        "#9aa25a",
        "#4c93ad",
        "#7a8f3f",
        "#f2ead8",
        "#7a2e1c",
        "brush",
        {
            "adobe": _style(
                "#e2b07a #d99a66 #edc795 #c9855a",
                "#fff4e0",
                "#4f6b78",
                "#2f6f8a",
                "#b5573a",
                "square",
                "tiles",
                3.0,
                3.6,
                shutters="#2f6f8a",
            ),
            "painted": _style(
                "#e06f5a #5fae9e #f0c24f #7fa0d0",
                "#ffffff",
                "#52687a",
                "#4a2c48",
                "#b5573a",
                "tall",
                "tiles",
                3.1,
                3.0,
                balcony=True,
            ),
        },
        trees=24.0,
        tree="palm",
        haze=600.0,
        sun=250.0,
    ),
    "superblocks": _look(
        "#b4c0c8",
        "#dfe3e4",
        "#5a5d60",
        "#a9aaa8",
        "#f4f4f0",
        "#8aa070",
        "#6d8a98",
        "#6f8a5a",
        "#b3261e",
        "#fff6d6",
        "heavy",
        {
            "panel": _style(
                "#c9c6bd #b9bcbb #d3cdbd",
                "#8f9497",
                "#5f7484",
                "#4a5a66",
                "#77797a",
                "wide",
                "flat",
                2.8,
                3.2,
                balcony=True,
                shops=0.25,
            ),
            "tiled panel": _style(
                "#9fb4b8 #b7a99a #a3ad93",
                "#e3e3de",
                "#607688",
                "#3e4c55",
                "#77797a",
                "ribbon",
                "flat",
                2.8,
                3.6,
                shops=0.25,
            ),
        },
        trees=18.0,
        haze=240.0,
        sun=140.0,
    ),
    "boulevards": _look(
        "#4fa3dc",
        "#fff1d0",
        "#54504c",
        "#d3c6ae",
        "#fafaf4",
        "#87a653",
        "#4b95b5",
        "#6c9440",
        "#274b8f",
        "#ffffff",
        "round",
        {
            "ochre": _style(
                "#e3b35f #d9a14e #ecc57d",
                "#fff6e2",
                "#5a7488",
                "#5a3a20",
                "#a35a3a",
                "tall",
                "cornice",
                3.9,
                3.0,
                balcony=True,
                shutters="#4c6b4a",
            ),
            "salmon": _style(
                "#e59a7d #d98a70 #eeb098",
                "#fff1e6",
                "#5f778a",
                "#4b3324",
                "#a35a3a",
                "arched",
                "flat",
                3.9,
                3.2,
                balcony=True,
            ),
        },
        trees=10.0,
        tree="palm",
        haze=520.0,
        sun=225.0,
    ),
    "riverside": _look(
        "#7f96aa",
        "#c9d2d6",
        "#3f4347",
        "#8e9291",
        "#f2f2f2",
        "#5f8a55",
        "#4a6b78",
        "#3f6b3c",
        "#e0a81c",
        "#1c1c1c",
        "stencil",
        {
            "warehouse": _style(
                "#7d4a3a #8f5641 #6a4034", "#3f4a4f", "#5b7078", "#2c3a40", "#43484b", "arched", "flat", 4.2, 3.8
            ),
            "whitewash": _style(
                "#e9ebe8 #dfe4e4 #cfd9dc", "#35586b", "#52697a", "#35586b", "#3e4b54", "square", "gable", 3.1, 3.0
            ),
        },
        trees=0.0,
        haze=180.0,
        sun=100.0,
    ),
    "crescents": _look(
        "#9cc0dc",
        "#f6f1e2",
        "#5d5a57",
        "#c3b491",
        "#fbfbf5",
        "#7aa85c",
        "#5f8fa6",
        "#598746",
        "#f7f5ea",
        "#23351f",
        "copperplate",
        {
            "honey stone": _style(
                "#dcc28e #d3b67d #e4cd9f", "#f5ead0", "#5e7284", "#20382c", "#6c6f76", "tall", "cornice", 3.9, 2.9
            ),
            "stucco": _style(
                "#f1ece0 #ebe3d2 #f7f4ec",
                "#ffffff",
                "#5b6f80",
                "#1c2a44",
                "#6c6f76",
                "tall",
                "flat",
                3.7,
                3.1,
                balcony=True,
            ),
        },
        trees=20.0,
        haze=480.0,
        sun=200.0,
    ),
    "honeycomb": _look(
        "#c6a9c9",
        "#fbe3cf",
        "#66615f",
        "#bfae9f",
        "#fff8e8",
        "#83a36a",
        "#5f8f9f",
        "#4f8a66",
        "#0f6e6e",
        "#fff2c6",
        "wide",
        {
            "villa": _style(
                "#f0d3c2 #d6e2cf #cfdbe8 #f3e7b8",
                "#ffffff",
                "#628096",
                "#7a4a68",
                "#7b4f62",
                "wide",
                "tiles",
                3.2,
                3.6,
                shutters="#5f8f7a",
                shops=0.25,
            ),
            "pavilion": _style(
                "#8aa5a0 #a9bfa8 #7f93a5", "#f2efe6", "#547089", "#3a4a5a", "#4f6b66", "square", "gable", 3.4, 3.8
            ),
        },
        trees=13.0,
        haze=300.0,
        sun=285.0,
    ),
}
"""By plan. The training city's greys and reds, its sky and its flat roofs are found in none of the others."""

WORDS: Mapping[str, str] = {
    "grid": "Harlow Finch Quenby Delmar Sorrel Beckman Carver Tallow Union Corbin Madder Irwin Teasel Halden "
    "Amberly Varney Duncan Pruitt Empire Golden Copper Blue Red Silver Corner Lucky Marlow Keating",
    "radial": "Adler Stern Kaiser Linden Falken Rosen Eich Silber Konrad Amalie Leopold Brunn Winter Ulmen "
    "Greif "
    "Marsch Kron Morgen Birken Falk",
    "organic": "Wend Thorn Ashby Oxley Barrow Cuthbert Hollin Raven Mallow Pike Tanner Old Crooked Saddler "
    "Weaver "
    "Abbot Hob Lamb Fenn Quill",
    "canals": "Zwaan Reiger Kuiper Molen Tulp Anker Haring Brouwer Visser Kade Noorder Zuider Linde Gouden "
    "Witte "
    "Rode Tolhuis Spiegel Pauw Eiland",
    "hills": "Sol Luna Mirador Cielo Alta Verde Sombra Corazon Palma Vista Oro Piedra Tierra Jacaranda "
    "Brisa Estrella Colibri Rosal Nube Agua",
    "superblocks": "Zorya Volna Putnik Mira Rassvet Kedr Kolos Beryoza Druzh Granit Polyus Znamen Orlik "
    "Raduga Sever Metal Oktava Iskra Lada Yantar",
    "boulevards": "Alzina Lledoner Fustera Mercat Garrofa Aurora Xiprer Ponent Roure Sarment Coral Taronja "
    "Olivera Garbi Tramunt Rosella Pineda Mimosa Ametlla Font",
    "riverside": "Tide Wharf Osprey Ferry Lock Salter Chandler Anchor Heron Mudlark Barge Keel Pilot Cable "
    "Beacon "
    "Gannet Eel Rope Sail Lantern",
    "crescents": "Pellow Larkdown Brookside Assembly Marchmain Regent Wexcote Millstow Prior Clarabel "
    "Lorimer "
    "Henriet Grove Sedley Northam Covenly Marl Belfort Argent Vane",
    "honeycomb": "Ambra Miele Fiore Cera Api Trifo Dorata Serena Liliana Verbena Nettar Sestina Alveo Timo "
    "Salvia "
    "Ginestra Polline Regina Favo Melissa",
}
"""First words of the landmarks' names, by plan."""

STREETS: Mapping[str, str] = {
    "grid": "Street",
    "radial": "Weg",
    "organic": "Lane",
    "canals": "Straat",
    "hills": "Calle",
    "superblocks": "Prospekt",
    "boulevards": "Carrer",
    "riverside": "Row",
    "crescents": "Terrace",
    "honeycomb": "Via",
}
"""What a street is called, by plan."""
