"""Capitals, digits and a few marks as strokes, for the signs of the generated cities.

The strokes lie on a grid 4 wide and 6 high, y downwards. A font is not used, since font engines differ between
machines.
"""

from __future__ import annotations

import unicodedata

STROKES = {
    "A": "06 20 46|14 34",
    "B": "00 06 36 45 44 33 03|33 42 41 30 00",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 06 26 44 42 20 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "10 30|16 36|20 26",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 23 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "0": "10 30 41 45 36 16 05 01 10|41 05",
    "1": "11 20 26|16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 13|33 44 45 36 16 05",
    "4": "36 30 04 44",
    "5": "40 00 03 33 44 45 36 16 05",
    "6": "41 30 10 01 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "43 13 02 01 10 30 41 45 36 16 05",
    "&": "46 12 11 20 30 31 04 05 16 26 44",
    "-": "13 33",
    "'": "20 21",
    ".": "26 26",
    ",": "26 17",
    "/": "06 40",
    "+": "13 33|22 24",
    "!": "20 24|26 26",
    " ": "",
}
UNKNOWN = "00 40 46 06 00"
"""The strokes of a character that is not in :data:`STROKES`: a box."""
ADVANCE = 5.6
"""The distance between the left sides of two letters, in steps of the grid."""
HIGH = 6.0
"""The height of a capital, in steps of the grid."""


def plain(text: str) -> str:
    """The text in capitals and without accents."""
    apart = unicodedata.normalize("NFKD", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).upper()
    return "".join(mark for mark in apart if not unicodedata.combining(mark))


def written(text: str, left: float, top: float, height: float) -> list[list[tuple[float, float]]]:
    """The strokes of a line of text whose capitals are ``height`` high."""
    step, paths = height / HIGH, []
    for place, mark in enumerate(plain(text)):
        start = left + place * ADVANCE * step
        for path in filter(None, STROKES.get(mark, UNKNOWN).split("|")):
            paths.append([(start + int(point[0]) * step, top + int(point[1]) * step) for point in path.split()])
    return paths


def width(text: str, height: float) -> float:
    """The width of a line of text whose capitals are ``height`` high."""
    return max(0.0, len(plain(text)) * ADVANCE - (ADVANCE - 4)) * height / HIGH


def wrapped(text: str, lines: int) -> list[str]:
    """The text in at most ``lines`` lines, broken between words so that the longest line is as short as possible."""
    words = text.split() or [""]
    if lines == 1 or len(words) == 1:
        return [" ".join(words)]
    options = [[" ".join(words[:cut]), *wrapped(" ".join(words[cut:]), lines - 1)] for cut in range(1, len(words))]
    return min([[" ".join(words)], *options], key=lambda option: (max(map(len, option)), len(option)))
