"""Panoramas: which pixel of a panorama a view shows, and that ours show what the views show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labkit.envs.virl.authors.panorama import equirectangular, perspective
from labkit.envs.virl.records import Point
from labkit.envs.virl.render.views import street_view
from labkit.errors import UsageError
from tests.envs.virl.drawn_town import shop, town


def compass_panorama(wide: int = 720) -> Image.Image:
    """Red counts the column in steps of 3 degrees (0 to 119), green the row likewise (0 to 59)."""
    degrees = (np.arange(wide) + 0.5) * 360 / wide
    pixels = np.zeros((wide // 2, wide, 3), dtype=np.uint8)
    pixels[..., 0] = degrees // 3
    pixels[..., 1] = (degrees[: wide // 2] // 3)[:, None]
    return Image.fromarray(pixels)


class TestPerspective:
    @pytest.mark.parametrize(
        ("heading", "rotation", "column"),
        [
            # The middle of the panorama is 180 degrees from its left border; a view's middle lies
            # ((heading - 180) mod 360 + rotation) mod 360 to the right of it.
            (91, 0, 91),
            (181, 0, 181),
            (271, 0, 271),
            (31, 60, 91),
            (301, 120, 61),
            (-89, 0, 271),
        ],
    )
    def test_the_middle_of_a_view(self, heading: float, rotation: float, column: float) -> None:
        view = np.asarray(perspective(compass_panorama(), heading, rotation, size=225))
        assert view[112, 112, 0] == column // 3

    def test_ninety_degrees_lie_between_the_borders(self) -> None:
        """Heading 181: from 136 to 226 degrees; and half of the way to the right is atan(1/2) = 26.57
        degrees."""
        view = np.asarray(perspective(compass_panorama(), 181, 0, size=900))[450, :, 0]
        assert (view[0], view[-1]) == (136 // 3, 225.9 // 3)
        assert view[675] == (181 + 26.57) // 3

    def test_up_is_up(self) -> None:
        """The upper border's middle is 45 degrees above the horizon: 45 degrees from the panorama's upper
        border."""
        view = np.asarray(perspective(compass_panorama(), 181, 0, size=901))[:, 450, 1]
        assert (view[1], view[450], view[-1]) == (45 // 3, 90 // 3, 134.9 // 3)

    def test_left_and_right_border_meet(self) -> None:
        """Heading 0: left of the middle the panorama's right end, right of it its left end."""
        view = np.asarray(perspective(compass_panorama(), 0, 0, size=200))[100, :, 0].astype(int)
        assert view[90] >= 115
        assert view[110] <= 4

    @pytest.mark.parametrize(("row", "heading"), [((0, 0, 255, 255), 180), ((255, 0, 0, 0), 0), ((0, 0, 0, 255), 0)])
    def test_between_two_pixels_their_mean(self, row: tuple[int, ...], heading: int) -> None:
        """Of four columns, heading 180 lies between the inner two, heading 0 between the outer two."""
        panorama = Image.fromarray(np.array([row, row], dtype=np.uint8))
        middle = np.asarray(perspective(panorama, heading, 0, size=101))[50, 50]
        assert middle.tolist() == [128, 128, 128]

    def test_a_file_cut_short_is_named(self, tmp_path: Path) -> None:
        whole = io.BytesIO()
        compass_panorama().save(whole, "JPEG")
        path = tmp_path / "pano-17.jpg"
        path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
        with Image.open(path) as picture, pytest.raises(UsageError, match=r"pano-17\.jpg"):
            perspective(picture, 0, 0)


class TestOurPanorama:
    @pytest.mark.parametrize("heading", [0, 37, 90, 211, 315])
    @pytest.mark.parametrize("spot", [(0, 50), (0, 100)])
    def test_shows_what_the_views_show(self, heading: float, spot: tuple[float, float]) -> None:
        city = town(shop(10, 60, 270), shop(-10, 120, 90, "church"))
        here = Point(*spot)
        cut = np.asarray(perspective(equirectangular(city, here, 1024), heading, 0, size=224)).astype(int)
        views = {turn: np.asarray(street_view(city, here, heading + turn, 224)) for turn in (0, 3)}
        away = {turn: np.abs(cut - view).mean() for turn, view in views.items()}
        # Only the borders of things differ, by a fraction of a pixel; 3 degrees off they would differ by 5
        # pixels.
        assert away[0] < 3.0
        assert away[3] > 2 * away[0]

    def test_is_twice_as_wide_as_high(self) -> None:
        assert equirectangular(town(), Point(0, 50), 128).size == (256, 128)

    @pytest.mark.parametrize("size", [0, 63, 5000])
    def test_a_size_that_cannot_be(self, size: int) -> None:
        with pytest.raises(UsageError, match="panorama size"):
            equirectangular(town(), Point(0, 0), size)
