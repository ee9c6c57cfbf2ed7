"""The slides are what the script makes of stored results, and show without a network."""

import importlib.util
import re
from html.parser import HTMLParser

from tests.notebooks.test_notebooks import ROOT

_spec = importlib.util.spec_from_file_location("slides", ROOT / "scripts" / "slides.py")
slides = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(slides)

STORED = (ROOT / "docs" / "slides.html").read_text(encoding="utf-8")


def test_the_stored_slides_are_in_step_with_results_and_notebooks():
    assert slides.page() == STORED, "run `python scripts/slides.py`"


def test_there_are_twelve_slides_with_figures_that_exist_and_nothing_from_a_network():
    sources: list[str] = []

    class Finder(HTMLParser):
        def handle_starttag(self, tag, attrs):
            sources.extend(value for name, value in attrs if name in ("src", "href"))

    Finder().feed(STORED)
    assert STORED.count("<section>") == 12 and STORED.count("<h1>") == 12
    assert sources and all((ROOT / "docs" / source).is_file() for source in sources)
    assert not re.search(r"https?://|@import|url\(", STORED)


def test_a_result_is_taken_up_to_the_end_of_its_paragraph():
    first, *_ = slides.results("05_ppo_by_hand")
    assert first.startswith("Without a baseline the best arm ends at 76%") and first.endswith("from 10.02 to 0.25.")
