"""The README's pictures are those that the app gives today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import main
from app.shared.catalogue import catalogue_of

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
ALIKE = 0.03
"""Mean difference of brightness, of 1, between two pictures of the same page. Taken again on one machine it is 0;
between the pages with and without side-by-side players it is 0.047."""


@pytest.fixture(scope="module")
def shots():
    spec = importlib.util.spec_from_file_location("shots", ROOT / "scripts" / "shots.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def brightness(path: Path) -> np.ndarray:
    """The picture, 160 by 100, as numbers from 0 to 1."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L").resize((160, 100), Image.Resampling.BOX)) / 255


@pytest.mark.slow(reason="takes every screenshot of the README again")
def test_the_stored_pictures_are_what_the_app_shows(shots, chromium, tmp_path):
    page = main.build(catalogue_of())
    _, url, _ = page.launch(prevent_thread_lock=True, **main.launch_options())
    try:
        for path in shots.take(chromium, url, tmp_path):
            stored = shots.IMAGES / path.name
            with Image.open(path) as new, Image.open(stored) as old:
                assert new.size == old.size, path.name
            assert np.abs(brightness(path) - brightness(stored)).mean() < ALIKE, path.name
    finally:
        page.close()


def test_the_readme_shows_pictures_that_the_script_takes(shots):
    shown = re.findall(r"docs/images/([\w-]*app[\w-]*\.png)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown and set(shown) <= set(shots.SHOTS)
    stored = {path.name for path in (ROOT / "docs" / "images").glob("*app*.png")}
    assert stored == set(shots.SHOTS)
