"""Words for headings and turns, against an independent computation over every pair of whole degrees."""

import cmath
import math

import pytest

from labkit.envs.virl.geometry import COMPASS, RELATIONS, compass, relation, turn
from labkit.envs.virl.headings import (
    ACTIONS,
    TURNS,
    check_actions,
    other_actions,
    seen_after,
    turn_word,
    word,
)
from labkit.errors import UsageError

NAMED = {
    0: "north",
    45: "northeast",
    90: "east",
    135: "southeast",
    180: "south",
    225: "southwest",
    270: "west",
    315: "northwest",
}


def phase(before: int, after: int) -> int:
    """The angle from one heading to another as the phase of a quotient of unit vectors, in (-180, 180]."""
    quotient = cmath.rect(1, math.radians(after)) / cmath.rect(1, math.radians(before))
    degrees = round(math.degrees(cmath.phase(quotient)))
    return 180 if degrees == -180 else degrees


def test_every_pair_of_headings():
    for before in range(360):
        for after in range(360):
            angle = phase(before, after)
            if angle < -45:
                expected = "left"
            elif angle > 45:
                expected = "right"
            elif angle <= 0:
                expected = "slightly left"
            else:
                expected = "slightly right"
            assert turn(before, after) == angle
            assert turn_word(before, after) == expected, (before, after)


def test_the_nearest_compass_word_for_every_heading():
    for heading in range(360):
        nearest = min(NAMED, key=lambda middle: abs(phase(middle, heading)))
        assert compass(heading) == NAMED[nearest]
        assert word("absolute", 77, heading) == NAMED[nearest]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (350, 10, "slightly right"),
        (10, 350, "slightly left"),
        (0, 180, "right"),
        (180, 0, "right"),
        (90, 270, "right"),
        (0, 181, "left"),
        (0, 45, "slightly right"),
        (0, 46, "right"),
        (0, 315, "slightly left"),
        (0, 314, "left"),
        (123, 123, "slightly left"),
        (359.5, 0.25, "slightly right"),
        (1e-20, 0, "slightly left"),
    ],
)
def test_the_borders_and_across_north(before, after, expected):
    assert turn_word(before, after) == expected


def test_a_landmark_stays_where_it_is_while_the_walker_turns():
    # Facing 30, a landmark at bearing 30 + 90 stands to the right; after a turn of 45 k it has not moved.
    for start in range(0, 360, 7):
        for bearing in range(0, 360, 11):
            for eighths in range(8):
                seen = relation(start, bearing)
                assert seen_after(seen, eighths) == relation(start + 45 * eighths, bearing)
    assert seen_after("front", 2) == "left"
    assert RELATIONS.index("right") == 2


def test_the_action_rules():
    assert ACTIONS == {"absolute": COMPASS, "relative": TURNS}
    assert (other_actions("absolute"), other_actions("relative")) == ("relative", "absolute")
    assert word("relative", 350, 10) == "slightly right"
    for wrong in ("both", "", None, 3):
        with pytest.raises(UsageError, match="absolute or relative"):
            check_actions(wrong)
