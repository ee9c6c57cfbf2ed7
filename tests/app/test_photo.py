"""A photograph of one's own cards in the Rule lab: limited, cleaned, and judged by the verifier of the picture cell."""

import base64
import json
import re
from dataclasses import asdict
from html import unescape
from io import BytesIO

import pytest
from PIL import Image

from app.rules import photo
from app.shared.catalogue import Catalogue
from labkit.envs import game, prompt
from labkit.envs.pictures import read_picture
from labkit.episode import Task
from labkit.players import Answer
from labkit.players.registry import PlayerInfo


def words(html):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def data_url(image, form="PNG", **options):
    file = BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


class Looks:
    """Answers rightly, and keeps the picture that it was sent."""

    name, picture = "looks", {"size": 96}

    def answer(self, turns):
        [turn] = turns
        [message] = prompt(turn.episode)
        self.seen = game("gp-vl").draw(message.picture)
        return [Answer(game("gp-vl").expert(turn.episode))]


class Reads(Looks):
    name = "reads"

    def answer(self, turns):
        raise RuntimeError("no eyes in /home/someone/model")


PLAYERS = {"looks": Looks(), "reads": Reads()}
CATALOGUE = Catalogue(
    [PlayerInfo(name, "checkpoint", name) for name in PLAYERS], lambda spec, temperature: PLAYERS[spec]
)
CARDS = Image.new("RGB", (3000, 1500), (200, 30, 30))


def test_a_photograph_is_kept_small_without_what_the_camera_wrote():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera of Someone"
    kept, shown = photo.received(data_url(CARDS, "JPEG", exif=exif.tobytes()))
    data = base64.b64decode(kept)
    image = Image.open(BytesIO(data))
    # Turned upright, and its longer side no longer than 1024.
    assert image.size == (512, 1024) and image.format == "JPEG" and not image.getexif()
    assert b"Camera of Someone" not in data
    assert "<img" in shown and "at most 1024 pixels a side" in words(shown)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("", "larger than 8 MB; choose a smaller one"),
        (None, "larger than 8 MB; choose a smaller one"),
        ("data:image/png;base64," + "A" * (photo.MOST * 4 // 3 + 100), "larger than 8 MB; choose a smaller one"),
        ("data:image/png;base64,AAAA", "the photograph cannot be read as a picture; save it as PNG or JPEG"),
        ("data:image/png;base64,??", "did not arrive whole"),
        ("/etc/passwd", "cannot be read as a picture"),
        ({"path": "/etc/passwd"}, "cannot be read as a picture"),
        (data_url(Image.new("RGB", (1, 1))), "1 x 1 pixels"),
        (data_url(CARDS, "GIF", save_all=True, append_images=[Image.new("RGB", (3000, 1500))]), "2 frames"),
    ],
)
def test_what_is_no_photograph_is_refused_in_a_sentence(sent, said):
    kept, shown = photo.received(sent)
    assert kept is None and said in words(shown)


def test_a_player_is_shown_the_photograph_at_its_size_and_judged():
    kept, _ = photo.received(data_url(CARDS))
    card = photo.answered(CATALOGUE, kept, "3 3 8 8", "ten", "", "looks")
    assert "correct" in words(card) and "dealt" not in words(card)
    seen = PLAYERS["looks"].seen
    assert seen.size == (96, 96)
    # Twice as wide as high: a red band between bands of the table's green.
    assert seen.getpixel((48, 48))[0] > 150 > 100 > seen.getpixel((48, 5))[0]
    assert seen.getpixel((2, 48))[0] > 150


def test_a_map_shows_which_part_decides():
    class Corner(Looks):
        """Names a 3 where the upper left eighth of the picture is red, else a king."""

        def answer(self, turns):
            seen = [game("gp-vl").draw(prompt(turn.episode)[0].picture).getpixel((5, 5)) for turn in turns]
            return [Answer(json.dumps({"cards": ["3" if g < 100 else "K"], "formula": "1"})) for _, g, _ in seen]

    white = Image.new("RGB", (800, 800), "white")
    white.paste("red", (0, 0, 300, 300))
    kept, _ = photo.received(data_url(white))
    catalogue = Catalogue([PlayerInfo("corner", "checkpoint", "")], lambda spec, temperature: Corner())
    shown = photo.answered(catalogue, kept, "3 3 8 8", "ten", "", "corner", True)
    assert "cards: another answer under 1 of 64 patches" in words(shown)
    assert "formula: another answer under 0 of 64 patches" in words(shown)
    assert "another answer" not in words(photo.answered(catalogue, kept, "3 3 8 8", "ten", "", "corner", False))


def test_a_person_is_judged_by_the_same_verifier():
    kept, _ = photo.received(data_url(CARDS))
    right = photo.answered(CATALOGUE, kept, "K 6 2 4", "ten", "10+6+2*4", None)
    assert "correct" in words(right)
    old = photo.answered(CATALOGUE, kept, "K 6 2 4", "eleven-twelve-thirteen", "10+6+2*4", None)
    assert "wrong numbers" in words(old)
    misread = json.dumps({"cards": ["Q", "6", "2", "4"], "number": [10, 6, 2, 4], "formula": "10+6+2*4"})
    assert "wrong cards" in words(photo.answered(CATALOGUE, kept, "K 6 2 4", "ten", misread, None))


@pytest.mark.parametrize(
    ("cards", "player", "said"),
    [
        ("3 3", "looks", "a hand has 3 to 6 cards"),
        ("", "looks", "a hand has 3 to 6 cards"),
        ("3 3 8 8", "nobody", "no player 'nobody'"),
        ("3 3 8 8", None, "no player ''"),
        ("3 3 8 8", "reads", "reads stopped: RuntimeError: no eyes in model"),
    ],
)
def test_what_cannot_be_judged_says_why(cards, player, said):
    kept, _ = photo.received(data_url(CARDS))
    assert said in words(photo.answered(CATALOGUE, kept, cards, "ten", "", player))
    assert "Choose a photograph first" in words(photo.answered(CATALOGUE, None, cards, "ten", "", player))


def test_a_record_with_a_photograph_is_whole():
    """The task holds it: an episode read back shows the same pixels, without the file."""
    kept, _ = photo.received(data_url(CARDS))
    task = game("gp-vl").task(hand=("3", "3", "8", "8"), picture={"photo": kept, "size": 64})
    again = Task.from_dict(json.loads(json.dumps(asdict(task))))
    first = game("gp-vl").first
    assert first(again).picture["hash"] == first(task).picture["hash"]
    assert read_picture(base64.b64decode(kept)).size == (1024, 512)
