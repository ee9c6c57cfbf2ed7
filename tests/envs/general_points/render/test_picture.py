"""The picture of a hand: what a person or a model sees on it, counted and measured on the pixels."""

import hashlib
import json
import re
from itertools import combinations, product
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from labkit.envs.general_points.render.picture import Picture, card_svg, coverage, draw
from labkit.envs.pictures import picture_hash
from labkit.errors import UsageError

RANKS = "A 2 3 4 5 6 7 8 9 10 J Q K".split()
DECK = [(rank, suit) for suit in "SHDC" for rank in RANKS]
HAND = [("K", "S"), ("3", "H"), ("10", "C"), ("A", "D")]
TABLE = (0x35, 0x65, 0x4D)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def ink(image: Image.Image) -> np.ndarray:
    """Where the ink of a suit is: far darker in green and blue than paper, and not the table."""
    red, green, blue = np.moveaxis(pixels(image), -1, 0)
    return (green < 70) & (blue < 70)


def islands(mask: np.ndarray) -> list[np.ndarray]:
    """The connected areas of a mask, found by walking over each: (row, column) points, shape (points, 2)."""
    left, found = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        area = [left.pop()]
        for y, x in area:  # which grows while it is walked over
            near = left.intersection(product((y - 1, y, y + 1), (x - 1, x, x + 1)))
            left -= near
            area += near
        found.append(np.array(area))
    return found


def on_cards(image: Image.Image) -> np.ndarray:
    """Where the cards are on a pure blue table, which a shadow leaves without red and green."""
    return pixels(image)[..., :2].min(axis=2) > 10


def alone(rank: str, suit: str, size: int = 500, glyphs: str = "plain") -> Image.Image:
    """One large card, cut out."""
    image = draw([(rank, suit)], Picture(size=size, background="#0000ff", glyphs=glyphs))
    rows, columns = np.nonzero(on_cards(image))
    return image.crop((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


def middle(card: Image.Image) -> Image.Image:
    """What stands between the two columns of indices: up to 28% of the width away from the middle line."""
    return card.crop((round(0.22 * card.width), 0, round(0.78 * card.width), card.height))


# What a recipe promises


@pytest.mark.parametrize("picture", [Picture(), Picture(size=300, layout="fan", tilt=9, noise=0.1, seed=4)])
def test_a_recipe_draws_the_same_bytes_each_time(picture: Picture) -> None:
    again = Picture.from_dict(json.loads(json.dumps(picture.to_dict())))
    assert again == picture
    image = draw(HAND, picture)
    assert (image.mode, image.size) == ("RGB", (picture.size, picture.size))
    assert image.tobytes() == draw(HAND, again).tobytes()


def test_drawing_on_a_picture_leaves_the_next_one_clean() -> None:
    first = draw(HAND, Picture(size=96))
    kept = first.tobytes()
    first.paste("white", (0, 0, 96, 96))
    assert draw(HAND, Picture(size=96)).tobytes() == kept


@pytest.mark.parametrize("knob", [{"tilt": 12.0}, {"noise": 0.05}, {"layout": "fan", "tilt": 3.0}])
def test_the_seed_decides_tilt_and_noise(knob: dict) -> None:
    first, second = (draw(HAND, Picture(size=224, seed=seed, **knob)).tobytes() for seed in (1, 2))
    assert first != second


def test_without_tilt_and_noise_the_seed_changes_nothing() -> None:
    assert draw(HAND, Picture(size=112, seed=1)).tobytes() == draw(HAND, Picture(size=112, seed=2)).tobytes()


def test_the_default_picture_has_not_changed() -> None:
    # Not worked out but recorded: stored episodes and trained checkpoints name pictures by their hash, so the
    # drawing must not change without someone noticing, be it through an edit here or a new numpy or Pillow.
    assert picture_hash(draw(HAND)) == "c74bbcd8d606b862"


def test_a_hash_is_of_size_and_pixels() -> None:
    wide = Image.new("RGB", (2, 1), (1, 2, 3))
    assert picture_hash(wide) == hashlib.sha256(b"2 1 " + bytes([1, 2, 3, 1, 2, 3])).hexdigest()[:16]
    assert picture_hash(wide) != picture_hash(Image.new("RGB", (1, 2), (1, 2, 3)))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("size", 31, "32 to 4096"),
        ("size", 224.0, "whole number"),
        ("size", True, "whole number"),
        ("background", "green", "#35654d"),
        ("background", "#35654", "#35654d"),
        ("background", None, "#35654d"),
        ("layout", "ring", "row, grid, fan"),
        ("card_scale", 1.1, "0.3 to 1"),
        ("card_scale", "1", "a number"),
        ("tilt", -1, "0 to 30"),
        ("tilt", float("nan"), "0 to 30"),
        ("glyphs", "gothic", "plain, serif, hand"),
        ("glyphs", ["plain"], "plain, serif, hand"),
        ("backs", 9, "whole number from 0 to 8"),
        ("occlusion", 0.95, "a number from 0 to 0.9"),
        ("noise", 2, "0 to 1"),
        ("noise", False, "a number"),
        ("seed", -1, "whole number"),
        ("seed", True, "whole number"),
    ],
)
def test_an_impossible_value_is_named(field: str, value: object, says: str) -> None:
    with pytest.raises(UsageError, match=f"picture {field} = .*{re.escape(says)}"):
        Picture(**{field: value})


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UsageError, match="'sise'.*size, background"):
        Picture.from_dict({"sise": 224})


@pytest.mark.parametrize("cards", [[], [("A", "S")] * 7, [("1", "S")], [("A", "X")], [("A", "SH")]])
def test_impossible_hands(cards: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError):
        draw(cards, Picture(size=64))


# What the cards look like


@pytest.mark.parametrize("size", [1200, 224, 97])
@pytest.mark.parametrize("layout", ["row", "grid", "fan"])
def test_the_table_is_exactly_its_colour(size: int, layout: str) -> None:
    image = draw(HAND, Picture(size=size, layout=layout))
    assert {image.getpixel((x, y)) for x in (0, size - 1) for y in (0, size - 1)} == {TABLE}
    blue = draw(HAND, Picture(size=size, layout=layout, background="#102030"))
    assert blue.getpixel((0, 0)) == (16, 32, 48)


@pytest.mark.parametrize(("rank", "suit"), DECK)
def test_hearts_and_diamonds_are_red_and_the_others_hold_no_red(rank: str, suit: str) -> None:
    red, green, blue = np.moveaxis(pixels(alone(rank, suit)), -1, 0)
    reddish = (red > 150) & (green < 80) & (blue < 80)
    # The two ranks in the corners alone are 15% as high as the card, 70 pixels: hundreds of pixels of ink.
    assert reddish.sum() > 300 if suit in "HD" else not reddish.any()


def test_every_card_differs_from_every_other_at_224_pixels() -> None:
    shown = [pixels(draw([card, *HAND[1:]], Picture(size=224))) for card in DECK]
    # The least difference is that of two black court cards, in four suit signs of 5 or 6 pixels each way.
    assert min((np.abs(a - b).max(axis=2) > 40).sum() for a, b in combinations(shown, 2)) > 20


@pytest.mark.parametrize(("rank", "suit"), [card for card in DECK if card[0].isdigit()])
def test_the_middle_holds_as_many_pips_as_the_rank_says(rank: str, suit: str) -> None:
    assert len(islands(ink(middle(alone(rank, suit, 700))))) == int(rank)


# Two columns of pips and a middle one, as tradition has them; upright down to the middle line, and on it.
# 8, say, has two columns of three, upright in the upper two rows, and between them two, the upper upright.
UPRIGHT = {"2": 1, "3": 2, "4": 2, "5": 3, "6": 4, "7": 5, "8": 5, "9": 5, "10": 5}


@pytest.mark.parametrize(("rank", "upright"), UPRIGHT.items())
def test_pips_below_the_middle_stand_on_their_heads(rank: str, upright: int) -> None:
    card = middle(alone(rank, "H", 700))
    standing = []
    for pip in islands(ink(card)):
        row, column = pip.mean(axis=0)
        box = (pip.max(axis=0) + pip.min(axis=0)) / 2
        # Most of a heart is above the middle of its height.
        standing.append(row < box[0])
        assert standing[-1] == (box[0] < card.height / 2 + 2)
        assert abs(column - box[1]) < 1
    assert sum(standing) == upright


@pytest.mark.parametrize("rank", ["2", "4", "10", "J", "Q", "K"])
@pytest.mark.parametrize("suit", ["S", "D"])
def test_these_cards_look_the_same_turned_half_round(rank: str, suit: str) -> None:
    card = pixels(alone(rank, suit))[..., :2]  # the third channel holds table and shadow at the corners
    assert np.abs(card - card[::-1, ::-1]).max() <= 3


def test_a_card_is_five_by_seven_with_round_corners() -> None:
    card = alone("A", "H", 1000)
    assert card.height / card.width == pytest.approx(7 / 5, abs=0.005)
    assert card.getpixel((0, 0))[2] > 100 > card.getpixel((0, 0))[0]
    assert min(card.getpixel((card.width // 20, card.height // 40))) > 245


@pytest.mark.parametrize("glyphs", ["plain", "serif", "hand"])
def test_letters_and_figures_enclose_as_many_fields_as_they_should(glyphs: str) -> None:
    fields = dict.fromkeys(RANKS, 0) | {"A": 1, "4": 1, "6": 1, "8": 2, "9": 1, "10": 1, "Q": 1}
    for rank in RANKS:
        card = alone(rank, "S", 800, glyphs)
        # The rank takes the corner down to a fifth of the height, and about as much of the width.
        wide, high = card.size
        corner = card.crop((wide // 100, high // 40, wide * 21 // 100, high * 21 // 100))
        around, *enclosed = sorted(islands(~ink(corner)), key=len, reverse=True)
        assert len(enclosed) == fields[rank], rank
        assert len(islands(ink(corner))) == len(rank), rank


def test_the_three_hands_write_differently() -> None:
    for rank in RANKS:
        faces = [pixels(alone(rank, "S", 300, glyphs)) for glyphs in ("plain", "serif", "hand")]
        assert min((np.abs(a - b).max(axis=2) > 100).sum() for a, b in combinations(faces, 2)) > 60


# How they lie


@pytest.mark.parametrize("layout", ["row", "grid"])
@pytest.mark.parametrize("tilt", [0, 7.5, 30])
@pytest.mark.parametrize("count", range(1, 7))
def test_cards_lie_apart(layout: str, tilt: float, count: int) -> None:
    picture = Picture(size=240, background="#0000ff", layout=layout, tilt=tilt, seed=count)
    cards = islands(on_cards(draw(DECK[:count], picture)))
    assert len(cards) == count
    # All of one size: 3% is what half-covered pixels along the edges make.
    sizes = [len(card) for card in cards]
    assert max(sizes) < 1.03 * min(sizes)


@pytest.mark.parametrize("layout", ["row", "grid", "fan"])
@pytest.mark.parametrize("count", range(1, 7))
def test_no_card_and_no_shadow_leaves_the_picture(layout: str, count: int) -> None:
    for seed in range(4):
        image = pixels(draw(DECK[:count], Picture(size=160, layout=layout, tilt=30, seed=seed)))
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (border == TABLE).all()


def test_tilt_turns_each_card_by_at_most_its_degrees() -> None:
    for seed in range(8):
        image = draw(DECK[:4], Picture(size=600, background="#0000ff", tilt=10, seed=seed))
        for card in islands(on_cards(image)):
            # The long axis of a rectangle is the main direction of its points.
            spread, axes = np.linalg.eigh(np.cov(card.T))
            angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
            assert abs((angle + 90) % 180 - 90) < 10.2


def test_card_scale_shrinks_cards() -> None:
    pictures = (Picture(size=1200, background="#0000ff", card_scale=scale) for scale in (1, 0.5))
    whole, half = (on_cards(draw(HAND, picture)).sum() for picture in pictures)
    # Widths are whole pixels, 0.96 x 0.94 / 4 x 1200 = 270.7 and 135.4 before that: (135 / 271)^2 = 0.248.
    assert half / whole == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_a_fan_shows_every_index(count: int) -> None:
    size = 600
    for i, seed in product(range(count), range(3)):
        hands = [[("4", "H")] * count, [("4", "H")] * count]
        hands[0][i], hands[1][i] = ("A", "S"), ("J", "S")
        one, other = (draw(hand, Picture(size=size, layout="fan", tilt=30, seed=seed)) for hand in hands)
        # Cards are 180 pixels wide, indices some 26 by 39: A and J differ in well over a fifth of that.
        assert (np.abs(pixels(one) - pixels(other)).max(axis=2) > 100).sum() > 0.2 * 26 * 39


def test_noise_has_the_spread_it_says() -> None:
    quiet, loud = (pixels(draw(HAND, Picture(size=400, noise=noise, seed=3)))[:100] for noise in (0, 0.05))
    added = loud - quiet  # 100 x 400 x 3 values on bare table, which 0.05 of 255 stays within
    assert added.mean() == pytest.approx(0, abs=0.2)  # four standard errors: 4 x 12.75 / sqrt(120,000) = 0.15
    assert added.std() == pytest.approx(0.05 * 255, rel=0.02)
    assert np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1] == pytest.approx(0, abs=0.03)


# Coverage of pixels


def edges(*points: complex) -> np.ndarray:
    return np.array([points, [*points[1:], points[0]]])


def test_coverage_of_a_box_between_pixels() -> None:
    covered = coverage(edges(0.5 + 1j, 2.25 + 1j, 2.25 + 2.5j, 0.5 + 2.5j), 3, 3)
    assert covered == pytest.approx(np.array([[0, 0, 0], [0.5, 1, 0.25], [0.25, 0.5, 0.125]]))


def test_coverage_cuts_holes_and_does_not_count_overlaps_twice() -> None:
    box, hole = edges(0, 4, 4 + 4j, 4j), edges(1 + 1j, 1 + 3j, 3 + 3j, 3 + 1j)
    assert coverage(np.concatenate([box, hole], axis=1), 4, 4).sum() == 16 - 4
    assert coverage(np.concatenate([box, box], axis=1), 4, 4).sum() == 16


@given(st.lists(st.tuples(st.floats(0, 7), st.floats(0, 5)), min_size=3, max_size=3))
def test_coverage_of_a_triangle_adds_up_to_its_area(corners: list[tuple[float, float]]) -> None:
    (ax, ay), (bx, by), (cx, cy) = corners
    area = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    covered = coverage(edges(*(complex(x, y) for x, y in corners)), 7, 5)
    assert covered.shape == (5, 7)
    assert covered.sum() == pytest.approx(area, abs=1e-9)


# The SVG


@pytest.mark.parametrize(("rank", "suit"), DECK)
def test_svg_is_a_small_safe_picture_with_a_name(rank: str, suit: str) -> None:
    text = card_svg(rank, suit, 140)
    svg = ElementTree.fromstring(text)
    assert len(text) < 8500
    assert (svg.get("role"), svg.get("width"), svg.get("height")) == ("img", "100", "140")
    ranks = {"A": "ace", "J": "jack", "Q": "queen", "K": "king"}
    suits = {"S": "spades", "H": "hearts", "D": "diamonds", "C": "clubs"}
    assert svg.get("aria-label") == f"{ranks.get(rank, rank)} of {suits[suit]}"
    # Nothing but filled paths: no script, no style, no id that two cards on a page would share.
    assert {element.tag.partition("}")[2] for element in svg.iter()} == {"svg", "path"}
    assert set().union(*(path.keys() for path in svg)) <= {"fill", "d", "stroke"}


@pytest.mark.parametrize(("rank", "suit"), [("7", "H"), ("5", "S"), ("3", "D"), ("2", "C")])
def test_svg_shows_what_the_picture_shows(rank: str, suit: str) -> None:
    """Filled by Pillow's own polygons, sixteen to a pixel: these four cards have no holes and no outlines."""
    svg = ElementTree.fromstring(card_svg(rank, suit, 140))
    left, top, wide, high = map(int, svg.get("viewBox").split())
    drawn = Image.new("RGB", (wide, high), "#0000ff")
    brush = ImageDraw.Draw(drawn)
    for path in svg:
        x, y = -left, -top
        for contour in re.findall(r"m[^z]*z", path.get("d")):
            numbers = list(map(int, re.findall(r"-?\d+", contour)))
            points = []
            for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
                x, y = x + dx, y + dy
                points.append((x, y))
            brush.polygon(points, fill=path.get("fill"))
            x, y = points[0]
    card = alone(rank, suit)
    # 3 in 255 on average: an edge that strays by a whole pixel anywhere would make more.
    assert np.abs(pixels(drawn.resize(card.size, Image.Resampling.BOX)) - pixels(card)).mean() < 3


def test_svg_of_no_card() -> None:
    with pytest.raises(UsageError, match="no card '11' of 'S'"):
        card_svg("11", "S", 100)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_patch_covers_its_share_of_each_card(share: float) -> None:
    """In the table's colour, so that the table shows through: its pixels within a card count."""
    hand = [("K", "S"), ("3", "C"), ("8", "S"), ("2", "C")]
    plain = np.asarray(draw(hand, Picture(size=600)))
    covered = np.asarray(draw(hand, Picture(size=600, occlusion=share, seed=5)))
    table = np.array([0x35, 0x65, 0x4D])
    for column in range(4):
        # The cards of a row of four are a quarter of 96% of the side apart, and 94% of that wide.
        left = round(600 * (0.02 + 0.24 * column + 0.0072))
        wide = round(600 * 0.24 * 0.94)
        part = np.s_[300 - round(0.7 * wide) : 300 + round(0.7 * wide), left : left + wide]
        before, after = ((image[part] == table).all(axis=-1) for image in (plain, covered))
        assert (after & ~before).mean() == pytest.approx(share, abs=0.02)
    moved = np.asarray(draw(hand, Picture(size=600, occlusion=share, seed=6)))
    assert not np.array_equal(moved, covered)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_cards_lie_face_down_apart_from_the_others(count: int) -> None:
    hand = [("K", "S"), ("3", "C"), ("8", "S"), ("2", "C")]
    plain = np.asarray(draw(hand, Picture(size=600)), dtype=int)
    beside = np.asarray(draw(hand, Picture(size=600, backs=count)), dtype=int)
    # Their shadows do not reach the row, and each has a card's 0.2256 x 0.3158 of the picture.
    row = np.s_[round(600 * 0.36) : round(600 * 0.64)]
    assert np.array_equal(beside[row], plain[row])
    paper_or_panel = (np.abs(beside - plain).sum(axis=-1) > 60).mean()
    assert paper_or_panel == pytest.approx(count * 0.2256 * 0.3158, rel=0.06)
    with pytest.raises(UsageError, match="beside a row only"):
        Picture(layout="fan", backs=count)
