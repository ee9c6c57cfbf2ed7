"""The names of a city's landmarks and streets, and the categories of landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

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
"""The categories of landmarks, and the words for each on a sign. A city has :data:`PER_CITY` of them."""

PER_CITY = 26
"""Categories of landmarks in one city."""

WORDS: Mapping[str, tuple[str, ...]] = {
    plan: tuple(words.split())
    for plan, words in {
        "grid": "Harlow Finch Quenby Delmar Sorrel Beckman Carver Tallow Union Corbin Madder Irwin Teasel Halden "
        "Amberly Varney Duncan Pruitt Empire Golden Copper Blue Red Silver Corner Lucky Marlow Keating",
        "radial": "Adler Stern Kaiser Linden Falken Rosen Eich Silber Konrad Amalie Leopold Brunn Winter Ulmen Greif "
        "Marsch Kron Morgen Birken Falk",
        "organic": "Wend Thorn Ashby Oxley Barrow Cuthbert Hollin Raven Mallow Pike Tanner Old Crooked Saddler Weaver "
        "Abbot Hob Lamb Fenn Quill",
        "canals": "Zwaan Reiger Kuiper Molen Tulp Anker Haring Brouwer Visser Kade Noorder Zuider Linde Gouden Witte "
        "Rode Tolhuis Spiegel Pauw Eiland",
        "hills": "Sol Luna Mirador Cielo Alta Verde Sombra Corazon Palma Vista Oro Piedra Tierra Jacaranda Brisa "
        "Estrella Colibri Rosal Nube Agua",
        "superblocks": "Zorya Volna Putnik Mira Rassvet Kedr Kolos Beryoza Druzh Granit Polyus Znamen Orlik Raduga "
        "Sever Metal Oktava Iskra Lada Yantar",
        "boulevards": "Alzina Lledoner Fustera Mercat Garrofa Aurora Xiprer Ponent Roure Sarment Coral Taronja Olivera "
        "Garbi Tramunt Rosella Pineda Mimosa Ametlla Font",
        "riverside": "Tide Wharf Osprey Ferry Lock Salter Chandler Anchor Heron Mudlark Barge Keel Pilot Cable Beacon "
        "Gannet Eel Rope Sail Lantern",
        "crescents": "Pellow Larkdown Brookside Assembly Marchmain Regent Wexcote Millstow Prior Clarabel Lorimer "
        "Henriet Grove Sedley Northam Covenly Marl Belfort Argent Vane",
        "honeycomb": "Ambra Miele Fiore Cera Api Trifo Dorata Serena Liliana Verbena Nettar Sestina Alveo Timo Salvia "
        "Ginestra Polline Regina Favo Melissa",
    }.items()
}
"""The first words of names, by plan: of landmarks and of streets."""

STREET_WORDS: Mapping[str, str] = {
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
"""The last word of a street's name, by plan."""


def landmark_names(words: Sequence[str], rng: Random) -> Iterator[tuple[str, str]]:
    """Names and categories of landmarks, without end. No name repeats; every category comes once in each round."""
    categories = rng.sample(sorted(CATEGORIES), PER_CITY)
    used: set[str] = set()
    while True:
        for category in rng.sample(categories, len(categories)):
            name = f"{rng.choice(words)} {rng.choice(CATEGORIES[category])}"
            while name in used:
                name = f"{rng.choice(words)} & {rng.choice(words)} {rng.choice(CATEGORIES[category])}"
            used.add(name)
            yield name, category
