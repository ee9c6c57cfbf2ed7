"""The page about other tools says what is there: the columns of exports, and the versions that are tested."""

import re
from pathlib import Path

from labkit.interop.rows import DEALS, DIALOGUES, EPISODES, MEASURES, deal_columns

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/interop.md").read_text(encoding="utf-8")


def described(of):
    """The columns in the rows of the page's table for a kind of export."""
    rows = re.findall(r"^\| ([a-z, ]+) \| (.+?) \| .* \|$", PAGE, re.MULTILINE)
    return {name for kinds, names in rows if of in kinds.split(", ") for name in re.findall(r"`(\w+)`", names)}


def test_every_column_is_described_and_no_other():
    assert described("data") == set(DIALOGUES)
    assert described("deals") == {*DEALS, *deal_columns("gp-vl")}
    assert described("episodes") == set(EPISODES)
    assert described("eval") == set(MEASURES)
    (turns,) = re.findall(r"a record for each answer: (.*?) \|", PAGE)
    assert re.findall(r"`(\w+)`", turns) == list(EPISODES["turns"][0])


def test_the_versions_are_those_that_are_installed():
    pins = {}
    for file in ("constraints.txt", "constraints-interop.txt"):
        lines = [line for line in (ROOT / file).read_text().splitlines() if "==" in line]
        pins |= {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    named = re.findall(r"^\| \[([^\]]+)\]\(#\S+\) \| (\S+) \|", PAGE, re.MULTILINE)
    known = {"hugging face hub": "huggingface-hub"}
    assert len(named) == 7
    for name, version in named:
        package = known.get(name.lower(), name.lower().replace("_", "-"))
        assert pins[package] == version, name
