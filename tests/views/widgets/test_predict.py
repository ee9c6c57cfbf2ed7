"""Predict, then run: what is asked, remembered and said, with widgets and without."""

import pytest

from labkit.errors import UsageError
from labkit.views.widgets import predict as module
from labkit.views.widgets.predict import predict, reveal

OPTIONS = ["SFT", "<b>RL</b>", "2*3*4 both"]


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.setattr(module, "_asked", {})
    monkeypatch.setattr(module, "_guesses", {})


@pytest.fixture
def in_notebook(monkeypatch):
    """What a kernel would send to the page."""
    sent = []
    monkeypatch.setattr(module, "_in_notebook", lambda: True)
    monkeypatch.setattr(module, "show", lambda widget, fallback: sent.append((widget, fallback)))
    return sent


def test_without_a_notebook_the_question_and_its_options_are_printed(capsys):
    predict("Which drops more?", OPTIONS, "a")
    assert capsys.readouterr().out.splitlines() == [
        "Predict first: Which drops more?",
        "  ○ SFT",
        "  ○ <b>RL</b>",
        "  ○ 2*3*4 both",
    ]


def test_no_guess_is_said_so(capsys):
    predict("Which?", OPTIONS, "a")
    capsys.readouterr()
    reveal("a", "SFT")
    assert capsys.readouterr().out == "You made no guess. The answer: SFT.\n"


@pytest.mark.parametrize(
    ("guess", "said"),
    [("SFT", "✓ You guessed: SFT. So it is.\n"), ("2*3*4 both", "✗ You guessed: 2*3*4 both. The answer: SFT.\n")],
)
def test_a_guess_is_noted_and_compared(in_notebook, capsys, guess, said):
    predict("Which?", OPTIONS, "a")
    words, choice, noted = in_notebook[0][0].children
    assert choice.value is None, "no option is suggested"
    assert choice.options == tuple(OPTIONS)
    choice.value = guess
    assert guess in noted.value
    reveal("a", "SFT")
    assert capsys.readouterr().out == said


def test_a_guess_survives_asking_again_unless_it_is_no_option_any_more(in_notebook, capsys):
    predict("Which?", OPTIONS, "a")
    in_notebook[0][0].children[1].value = "SFT"
    predict("Which?", OPTIONS, "a")
    assert in_notebook[1][0].children[1].value == "SFT" and "Noted: SFT" in in_notebook[1][0].children[2].value
    predict("Which?", ["RL", "none"], "a")
    assert in_notebook[2][0].children[1].value is None
    reveal("a", "none")
    assert capsys.readouterr().out == "You made no guess. The answer: none.\n"


def test_a_page_without_a_kernel_shows_the_question_as_text(in_notebook, parse):
    predict("Is <i>this</i> 2*3*4?", OPTIONS, "a")
    _, fallback = in_notebook[0]
    page = parse(fallback["text/html"])
    assert [item.text for item in page.all("li")] == OPTIONS
    assert "Is <i>this</i> 2*3*4?" in page.text and not page.all("i") and not page.all("b")
    assert "○ SFT" in fallback["text/plain"]


def test_what_cannot_be_asked_or_answered_is_an_error():
    for options in (["one"], ["same", "same"]):
        with pytest.raises(UsageError, match="two options or more"):
            predict("?", options, "a")
    with pytest.raises(UsageError, match="run the cell that asks it"):
        reveal("never", "SFT")
    predict("?", OPTIONS, "a")
    with pytest.raises(UsageError, match="'DPO' is no option"):
        reveal("a", "DPO")
