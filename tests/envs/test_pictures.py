"""Pictures as users have them: any file gives an upright RGB picture, or a sentence that names it."""

import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from labkit.envs.pictures import MOST_BYTES, read_picture
from labkit.errors import UsageError

BLACK = Image.new("RGB", (40, 20))


def saved(image, form="PNG", **options):
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def two_halves():
    """Red above, blue below; 40 pixels wide, 20 high."""
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 10, 40, 20))
    return image


def of_size(wide, high):
    """A PNG that says how large it is and holds no pixels: what is refused must be so before decoding."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


class TestWhatIsRead:
    # Where the red half of the stored picture is to be seen, by the orientation's definition in EXIF 2.3.
    @pytest.mark.parametrize(
        ("orientation", "red"),
        [(1, "above"), (2, "above"), (3, "below"), (4, "below"), (5, "left"), (6, "right"), (7, "right"), (8, "left")],
    )
    def test_photographs_stand_upright(self, orientation, red):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = read_picture(saved(two_halves(), "JPEG", exif=exif.tobytes(), quality=95))
        assert image.size == ((40, 20) if orientation <= 4 else (20, 40))
        wide, high = image.size
        corners = {(x, y): image.getpixel((x * (wide - 5) + 2, y * (high - 5) + 2)) for x in (0, 1) for y in (0, 1)}
        halves = {"above": (1, 0), "below": (1, 1), "left": (0, 0), "right": (0, 1)}
        axis, value = halves[red]
        for corner, (r, _, b) in corners.items():
            assert (r > 200, b > 200) == (corner[axis] == value, corner[axis] != value)

    @pytest.mark.parametrize(
        ("image", "form", "colour"),
        [
            # Cyan and yellow inks in full leave green.
            (Image.new("CMYK", (20, 20), (255, 0, 255, 0)), "TIFF", (0, 255, 0)),
            (Image.new("CMYK", (20, 20), (255, 0, 255, 0)), "JPEG", (0, 255, 0)),
            (Image.new("RGB", (20, 20), (10, 200, 30)).quantize(4), "PNG", (10, 200, 30)),
            (Image.new("RGB", (20, 20), (10, 200, 30)).quantize(4), "GIF", (10, 200, 30)),
            (Image.new("L", (20, 20), 77), "BMP", (77, 77, 77)),
            (Image.new("1", (20, 20), 1), "PNG", (255, 255, 255)),
            # A pixel of which nothing is seen is white, half a pixel of black is grey.
            (Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG", (255, 255, 255)),
            (Image.new("LA", (20, 20), (0, 128)), "PNG", (127, 127, 127)),
            # 16 bits: 0x8000 of 0xffff is half of white.
            (Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16)), "PNG", (128, 128, 128)),
            (Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16)), "TIFF", (128, 128, 128)),
        ],
    )
    def test_any_kind_of_colour_becomes_rgb(self, image, form, colour):
        found = read_picture(saved(image, form))
        assert found.mode == "RGB" and found.size == (20, 20)
        assert found.getpixel((9, 9)) == pytest.approx(colour, abs=2)

    def test_a_palette_with_a_transparent_colour_lies_on_white(self):
        image = Image.new("P", (20, 20), 1)
        image.putpalette([0, 0, 0, 200, 0, 0])
        assert read_picture(saved(image, "PNG", transparency=1)).getpixel((5, 5)) == (255, 255, 255)
        assert read_picture(saved(image, "PNG", transparency=0)).getpixel((5, 5)) == (200, 0, 0)

    def test_a_file_is_read_by_what_it_holds(self, tmp_path):
        path = tmp_path / "photo.txt"
        path.write_bytes(saved(two_halves()))
        assert np.array_equal(np.asarray(read_picture(path)), np.asarray(two_halves()))
        assert np.array_equal(np.asarray(read_picture(str(path))), np.asarray(two_halves()))

    def test_a_photograph_with_previews_behind_it_is_the_first(self):
        data = saved(two_halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 20), "green")])
        assert read_picture(data).getpixel((20, 2))[0] > 200


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "photo cannot be read as a picture; save it as PNG or JPEG"),
            (b"no picture at all", "photo cannot be read as a picture"),
            (b"%PDF-1.7", "photo cannot be read as a picture"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n", "photo cannot be read as a picture"),
            (saved(Image.new("RGB", (1, 1))), "photo is 1 x 1 pixels; give 16 to 16,384 a side"),
            (of_size(20_000, 100), "photo is 20000 x 100 pixels; give 16 to 16,384 a side"),
            (of_size(20_000, 20_000), "photo is too large; a picture has at most 80,000,000 pixels"),
            (of_size(9_000, 9_000), "photo has 81,000,000 pixels; a picture has at most 80,000,000"),
            (saved(two_halves(), "GIF", save_all=True, append_images=[BLACK]), "photo has 2 frames"),
            (saved(two_halves(), "TIFF", save_all=True, append_images=[BLACK]), "photo has 2 frames"),
            (saved(two_halves(), "PNG", save_all=True, append_images=[BLACK]), "photo has 2 frames"),
            (saved(Image.fromarray(np.zeros((20, 20), dtype=np.float32)), "TIFF"), "photo has 32 bits a pixel"),
        ],
    )  # fmt: skip
    def test_a_sentence_says_why(self, data, message):
        with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
            read_picture(data, "photo")

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
    def test_no_file_cut_short_anywhere_is_read_in_part(self, form):
        """Wherever it is cut, a picture is whole or refused."""
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
        whole = saved(noise, form)
        right = np.asarray(read_picture(whole))
        for length in range(0, len(whole), max(1, len(whole) // 60)):
            try:
                found = read_picture(whole[:length], "photo")
            except UsageError as error:
                assert str(error).startswith("photo ")
            else:
                assert np.array_equal(np.asarray(found), right)

    @pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
    def test_no_bytes_break_it(self, form):
        """Bytes changed at random: a picture or a sentence, never another error."""
        exif = Image.Exif()
        exif[0x0112] = 6
        whole = saved(two_halves(), form, **({"exif": exif.tobytes()} if form in ("PNG", "JPEG", "WEBP") else {}))
        rng = np.random.default_rng(1)
        for _ in range(150):
            changed = bytearray(whole)
            for at in rng.integers(0, len(whole), 3):
                changed[at] = rng.integers(0, 256)
            try:
                assert read_picture(bytes(changed), "photo").mode == "RGB"
            except UsageError as error:
                assert str(error).startswith("photo ")

    def test_a_file_that_is_not_there_or_too_long_is_named(self, tmp_path):
        with pytest.raises(UsageError, match="cannot read the picture .*none.png: No such file"):
            read_picture(tmp_path / "none.png")
        with pytest.raises(UsageError, match="cannot read the picture"):
            read_picture(tmp_path)
        with pytest.raises(UsageError, match="^photo has 64 MB; a picture has at most 64$"):
            read_picture(bytes(MOST_BYTES + 1), "photo")
