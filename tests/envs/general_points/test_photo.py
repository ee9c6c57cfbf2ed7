"""A photograph of real cards in place of a drawn picture, from the command line and from Python."""

import json

import pytest
from PIL import Image

from labkit.cli import main
from labkit.envs import game, start
from labkit.envs.general_points import photo
from labkit.errors import UsageError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cards.png"
    Image.new("RGB", (400, 100), (250, 250, 250)).save(path)
    return path


def test_it_is_shown_whole_in_a_square(file):
    task = game("gp-vl").task(hand=("3", "3", "8", "8"), photo=str(file), picture={"size": 80})
    image = game("gp-vl").draw(start(task).position.picture["recipe"])
    assert image.size == (80, 80)
    # Four times as wide as high: 20 rows of paper, 30 rows of table above and below.
    assert all(min(image.getpixel((x, 40))) > 240 for x in (1, 40, 78))
    assert [image.getpixel((40, y)) for y in (20, 60)] == [(0x35, 0x65, 0x4D)] * 2


def test_the_command_line_takes_a_file(file, capsys, tmp_path):
    words = f"play gp-vl --player expert --cards 3,3,8,8 --photo {file} --json --out {tmp_path / 'runs'}"
    assert main(words.split()) == 0
    episode = json.loads(capsys.readouterr().out)["episode"]
    assert episode["status"] == "success" and set(episode["task"]["picture"]) == {"photo", "size"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("play gp-vl --photo FILE --player expert", "name them with --cards"),
        ("play gp-l --photo FILE --cards 3,3,8,8 --player expert", "gp-l shows no pictures"),
        ("play gp-vl --photo nowhere.png --cards 3,3,8,8 --player expert", "cannot read the picture nowhere.png"),
        ("eval gp-vl --photo FILE --player expert --episodes 2", "name them with --cards"),
    ],
)
def test_where_it_cannot_be_shown_that_is_told(words, said, file, capsys, tmp_path):
    assert main([*words.replace("FILE", str(file)).split(), "--out", str(tmp_path / "runs")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ({"photo": "?"}, "not base64 text"),
        ({"photo": 3}, "not base64 text"),
        ({"photo": "AAAA"}, "cannot be read as a picture"),
        ({"photo": "KEPT", "tilt": 4}, "picture tilt: a photograph is as it is"),
        ({"photo": "KEPT", "size": 5}, "picture size = 5"),
    ],
)
def test_an_impossible_recipe_is_named(picture, said):
    kept = photo.kept(Image.new("RGB", (64, 64)))
    with pytest.raises(UsageError, match=said):
        game("gp-vl").task(
            hand=("3", "3", "8", "8"), picture={k: kept if v == "KEPT" else v for k, v in picture.items()}
        )
