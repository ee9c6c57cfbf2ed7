"""The pages of the repository: their links lead somewhere, their Python runs, their commands exist."""

import contextlib
import io
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from labkit import cli

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")

_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    links = [unquote(link.partition("#")[0]) for link in _LINK.findall(page.read_text(encoding="utf-8"))]
    files = [link for link in links if link and "://" not in link]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / link).resolve() for link in _LINK.findall(page.read_text()) if "://" not in link]
    assert {page.name for page in PAGES} <= {page.name for page in reached}


def test_the_python_of_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    # One right answer at the first attempt: +5 (paper, appendix A.3).
    assert "Cards: 3, 3, 8, 8" in printed.getvalue() and "success 5" in printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page, capsys):
    verbs = set(re.findall(r"^labkit ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    for verb in verbs:
        with pytest.raises(SystemExit) as left:
            cli.main([verb, "--help"])
        assert left.value.code == 0, verb


def test_the_readme_is_read_in_five_minutes():
    assert len(README.split()) < 950
