"""Where things appear in a view, worked out by hand: with 90 degrees across n pixels, a point that lies r
metres to the right, a metres ahead and h metres above the eye (2.5 m) is at column n/2 (1 + r/a) and row n/2
(1 - h/a).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from labkit.envs.virl.city.looks import LOOKS
from labkit.envs.virl.city.names import CATEGORIES
from labkit.envs.virl.records import City, Landmark, Point
from labkit.envs.virl.render import views
from labkit.envs.virl.render.icons import KINDS, kind_of
from labkit.envs.virl.render.signs import PENS, sign, signage
from labkit.envs.virl.render.views import grid_view, street_view
from labkit.errors import UsageError
from tests.envs.virl.drawn_town import block, plain, shop, town

SIZE = 224
HALF = SIZE // 2


def pixels(city: City, point: tuple[float, float], heading: float, fov: float = 90.0) -> np.ndarray:
    return np.asarray(street_view(city, Point(*point), heading, SIZE, fov)).astype(int)


def is_magenta(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0] > 200) & (picture[..., 1] < 60) & (picture[..., 2] > 200)


def columns_of_sign(picture: np.ndarray) -> tuple[int, int]:
    found = np.flatnonzero(is_magenta(picture).any(axis=0))
    return int(found[0]), int(found[-1]) + 1


def is_red(pixel: np.ndarray) -> bool:
    return pixel[0] > 100 and pixel[1] < 100 and pixel[2] < 100 and pixel[0] > pixel[2] + 60


def is_blue(pixel: np.ndarray) -> bool:
    return pixel[2] > 100 and pixel[1] < 100 and pixel[2] > pixel[0] + 60


def is_sky(pixel: np.ndarray) -> bool:
    return bool((pixel > 250).all())


def is_road(pixel: np.ndarray) -> bool:
    return bool((abs(pixel - 64) < 8).all())


class TestLandmarks:
    @pytest.mark.parametrize("azimuth", [-30, -12, 0, 12, 30])
    def test_column_is_the_tangent_of_the_angle(self, azimuth: float) -> None:
        x, y = 25 * math.sin(math.radians(azimuth)), 25 * math.cos(math.radians(azimuth))
        picture = pixels(plain(shop(x, y, (azimuth + 180) % 360)), (0, 0), 0)
        # The front is 5 m high, its upper edge 24.7 m away no higher than row 112 (1 - 2.5 / (24.7 cos 30)) =
        # 98.9: what shows above is the sign. It faces the viewer, its ends as many degrees to the left of its
        # middle as to the right.
        columns = np.flatnonzero((picture[:98] < 240).any(axis=(0, 2)))
        ends = [math.degrees(math.atan(column / HALF - 1)) for column in (columns[0], columns[-1] + 1)]
        assert sum(ends) / 2 == pytest.approx(azimuth, abs=0.5)

    @pytest.mark.parametrize("heading", [0, 90, 180, 270])
    def test_shows_in_the_view_on_its_side_only(self, heading: int) -> None:
        """The shop stands to the west, 10 m away."""
        grid = np.asarray(grid_view(town(shop(-10, 50, 90)), Point(0, 50), heading, 2 * SIZE)).astype(int)
        corners = {"front": (0, 0), "right": (0, SIZE), "back": (SIZE, 0), "left": (SIZE, SIZE)}
        where = {0: "left", 90: "back", 180: "right", 270: "front"}[heading]
        seen = {
            name: is_magenta(grid[top : top + SIZE, left : left + SIZE]).sum() for name, (top, left) in corners.items()
        }
        assert seen.pop(where) > 300
        assert sum(seen.values()) == 0

    def test_hidden_by_a_house_has_no_sign(self) -> None:
        mark = shop(0, 60, 180)
        open_view = pixels(town(mark, buildings=()), (0, 20), 0)
        blocked = pixels(town(mark, buildings=(block(-9, 35, 9, 40, 9),)), (0, 20), 0)
        assert is_magenta(open_view).sum() > 300
        assert is_magenta(blocked).sum() == 0

    def test_its_front_shows_from_the_street_and_not_from_behind(self) -> None:
        """4 m to the side and 4.2 m up, 29.7 m away: column 112 (1 + 4 / 29.7) = 127, row 112 (1 - 1.7 /
        29.7) = 105.6. There the front has its category's colour."""
        brown = np.array([0x7B, 0x4A, 0x2B])
        city = plain(shop(0, 30, 180))
        assert abs(pixels(city, (0, 0), 0)[105, 127] - brown).max() < 4
        for column in (97, 127):
            assert is_sky(pixels(city, (0, 60), 180)[105, column])

    def test_its_sign_is_as_large_at_10_as_at_30_metres_and_smaller_at_60(self) -> None:
        sizes = []
        for away in (10, 30, 60):
            left, right = columns_of_sign(pixels(plain(shop(0, away + 0.8, 180)), (0, 0), 0))
            sizes.append(right - left)
        assert sizes[0] == pytest.approx(sizes[1], abs=1)
        # Beyond 32 m a sign keeps its size in metres: 32 / 60 of what it measured before.
        assert sizes[2] / sizes[1] == pytest.approx(32 / 60, abs=0.05)

    @pytest.mark.parametrize("behind", [5, 15, 30])
    def test_two_in_line_stand_one_above_the_other(self, behind: float) -> None:
        """The first sign is 29.2 m away and covers slopes from 0.13 to 0.30, the second begins at 0.32:
        between rows 112 (1 - 0.32) = 76.2 and 112 (1 - 0.30) = 78.4 there is none."""
        picture = pixels(plain(shop(0, 30, 180), shop(1, 30 + behind, 180)), (0, 0), 0)
        rows = np.flatnonzero(is_magenta(picture[:99]).any(axis=1))
        assert np.diff(rows).max() > 1
        assert (rows > 78).any() and (rows < 76).any()


class TestStreets:
    def test_the_side_street_opens_at_the_junction(self) -> None:
        picture = pixels(town(), (0, 100), 90)
        assert is_sky(picture[HALF - 6, HALF])
        assert is_road(picture[HALF + 20, HALF])
        # Its mouth is 10 m away and 20 m wide: as wide as the picture; its far end a narrow gap of sky.
        assert is_red(picture[HALF - 6, 40])
        assert is_red(picture[HALF - 6, SIZE - 40])

    @pytest.mark.parametrize("heading", [90, 270])
    def test_between_junctions_both_sides_are_closed(self, heading: int) -> None:
        picture = pixels(town(), (0, 50), heading)
        assert all(is_red(pixel) for pixel in picture[HALF - 6, ::8])
        assert all(is_red(pixel) for pixel in picture[HALF + 6, ::8])

    def test_the_junction_is_closed_where_no_street_leaves(self) -> None:
        assert all(is_red(pixel) for pixel in pixels(town(), (0, 100), 270)[HALF - 6, ::8])

    def test_kerb_and_facade_are_where_they_should_be(self) -> None:
        """Looking across a street of 20 m: pavements of 4 m, so the kerb is 6 m away (with 0.3 m of
        kerbstone) and the facade, 12 m high, 10 m away: road below row 112 (1 + 2.5 / 6) = 158.7, houses
        above row 112 (1 + 2.5 / 10) = 140 and up to row 112 (1 - 9.5 / 10) = 5.6."""
        column = pixels(town(), (0, 50), 270)[:, HALF + 3]
        assert is_road(column[160])
        assert not is_road(column[157])
        assert is_red(column[138])
        assert not is_red(column[142])
        assert is_red(column[7])
        assert is_sky(column[4])

    def test_a_nearer_house_hides_a_farther_one_up_to_its_roof(self) -> None:
        """Roofs at 112 (1 - 7.5 / 20) = 70 and 112 (1 - 37.5 / 60) = 42; the nearer one's foot at 112 (1 +
        2.5 / 20) = 126."""
        near, far = block(-15, 20, 15, 30, 10, "red"), block(-30, 60, 30, 70, 40, "blue")
        for buildings in ((near, far), (far, near)):
            column = pixels(town(buildings=buildings), (0, 0), 0)[:, HALF]
            assert is_red(column[72]) and is_red(column[124])
            assert is_blue(column[68]) and is_blue(column[44])
            assert is_sky(column[40])
            assert not is_red(column[128]) and not is_blue(column[128])

    def test_a_house_shows_between_its_corners(self) -> None:
        """Corners 15 m to the left and 5 m to the right, 20 m ahead: columns 112 (1 - 15 / 20) = 28 and
        140."""
        row = pixels(town(buildings=(block(-15, 20, 5, 30, 10),)), (0, 0), 0)[HALF]
        assert [column for column in range(SIZE) if is_red(row[column])] == list(range(28, 140))

    def test_a_wider_field_of_view_shows_things_smaller(self) -> None:
        """120 degrees: half the picture is tan 60 = 1.732, so 15 / 20 lands at 112 (1 - 0.75 / 1.732) =
        63.5."""
        row = pixels(town(buildings=(block(-15, 20, 15, 30, 10),)), (0, 0), 0, fov=120)[HALF]
        red = [column for column in range(SIZE) if is_red(row[column])]
        assert red[0] == pytest.approx(63.5, abs=1)


class TestTurning:
    def test_a_turn_to_the_right_brings_the_right_view_to_the_front(self) -> None:
        city, spot, inner = town(shop(10, 60, 270)), Point(0, 50), slice(20, SIZE - 4)
        before, after = (np.asarray(grid_view(city, spot, heading, 2 * SIZE)) for heading in (30, 120))
        assert (before[inner, SIZE + 4 : 2 * SIZE - 4] == after[inner, 4 : SIZE - 4]).all()
        front = np.asarray(street_view(city, spot, 120, SIZE))
        assert (after[inner, 4 : SIZE - 4] == front[inner, 4:-4]).all()

    def test_headings_wrap(self) -> None:
        assert (pixels(town(), (0, 50), -90) == pixels(town(), (0, 50), 270)).all()


class TestPixels:
    def test_are_pinned(self) -> None:
        """A picture is a recipe and a hash in every stored episode. This one may only change together with
        the version of the views, on purpose; a machine on which it differs cannot replay what others
        stored."""
        picture = street_view(town(shop(10, 60, 270)), Point(0.0, 40.0), 20.0, 128)
        assert hashlib.sha256(picture.tobytes()).hexdigest()[:16] == "65c405602540b524"

    def test_do_not_depend_on_the_last_digits_of_a_point(self) -> None:
        assert (pixels(town(), (0, 50), 20) == pixels(town(), (0.0004, 49.9996), 20)).all()

    def test_changing_a_picture_leaves_the_next_one_alone(self) -> None:
        city = town()
        first = street_view(city, Point(0, 50), 0, 64)
        kept = first.tobytes()
        first.paste((0, 0, 0), (0, 0, 64, 64))
        assert street_view(city, Point(0, 50), 0, 64).tobytes() == kept

    @pytest.mark.parametrize("size", [32, 65, 224, 1024])
    def test_sizes(self, size: int) -> None:
        picture = street_view(town(), Point(0, 50), 0, size)
        assert (picture.size, picture.mode) == ((size, size), "RGB")

    @pytest.mark.parametrize("size", [0, 31, 5000, 224.0, True])
    def test_a_size_that_cannot_be(self, size: object) -> None:
        with pytest.raises(UsageError, match="view size"):
            street_view(town(), Point(0, 0), 0, size)

    @pytest.mark.parametrize("size", [62, 225, 5000, "448"])
    def test_a_grid_size_that_cannot_be(self, size: object) -> None:
        with pytest.raises(UsageError, match="grid size"):
            grid_view(town(), Point(0, 0), 0, size)

    @pytest.mark.parametrize("fov", [0, 9, 151, float("nan")])
    def test_a_field_of_view_that_cannot_be(self, fov: float) -> None:
        with pytest.raises(UsageError, match="field of view"):
            street_view(town(), Point(0, 0), 0, 64, fov)

    def test_an_empty_place_has_sky_above_ground(self) -> None:
        column = pixels(plain(), (0, 0), 0)[:, HALF]
        assert all(is_sky(pixel) for pixel in column[:HALF])
        assert (abs(column[HALF:] - [128, 160, 128]) <= 1).all()

    def test_kept_scenes_are_bounded_and_of_the_right_city(self) -> None:
        first = town(buildings=(block(-9, 20, 9, 30, 9),))
        before = pixels(first, (0, 0), 0)
        for _ in range(views.CITIES + 1):
            pixels(town(buildings=()), (0, 0), 0)
        assert len(views._scenes) <= views.CITIES
        assert (pixels(first, (0, 0), 0) == before).all()


class TestSigns:
    def test_every_category_has_its_own(self) -> None:
        assert set(CATEGORIES) == set(KINDS)
        style = signage({})
        pictures = {sign("Same", category, style).levels[0].tobytes() for category in CATEGORIES}
        assert len(pictures) == len(CATEGORIES)

    def test_a_category_nobody_thought_of_shows_its_initial(self) -> None:
        assert kind_of("zeppelin hangar").pictogram == ""
        one, other = (sign("Same", category, signage({})).levels[0] for category in ("zeppelin", "aquarium"))
        assert (one != other).any()

    def test_every_city_writes_in_a_known_hand(self) -> None:
        assert {look["signage"]["script"] for look in LOOKS.values()} <= set(PENS)

    @pytest.mark.parametrize(
        "name",
        ["Caf\u00e9 Zo\u00eb", "\u05e7\u05e4\u05d4 \u05ea\u05dc", "\U0001f355\U0001f355", "", "A}{'" * 40],
    )
    def test_any_name_can_be_written(self, name: str) -> None:
        picture = pixels(town(Landmark(name, "cafe", Point(0, 40), 180.0, 0), buildings=()), (0, 0), 0)
        assert is_magenta(picture).sum() > 10

    def test_accents_do_not_keep_a_letter_from_being_written(self) -> None:
        style = signage({})
        assert (sign("Caf\u00e9", "cafe", style).levels[0] == sign("CAFE", "cafe", style).levels[0]).all()
        assert (sign("Cafo", "cafe", style).levels[0] != sign("CAFE", "cafe", style).levels[0]).any()
