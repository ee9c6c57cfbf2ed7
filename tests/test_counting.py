import pytest

from labkit.counting import counted


@pytest.mark.parametrize(
    ("number", "told", "irregular"),
    [
        (0, "0 runs", "0 processes"),
        (1, "1 run", "1 process"),
        (2, "2 runs", "2 processes"),
        (1200, "1,200 runs", "1,200 processes"),
    ],
)
def test_only_one_is_singular(number, told, irregular):
    assert counted(number, "run") == told
    assert counted(number, "process", "processes") == irregular
