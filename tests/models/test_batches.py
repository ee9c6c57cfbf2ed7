"""Micro-batches: the budget, and that every process does the same number of them and nothing twice."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labkit.models.batches import micro_batches


def items(lengths):
    return [SimpleNamespace(ids=np.zeros(n, int), number=i) for i, n in enumerate(lengths)]


def test_the_budget_counts_padding_and_a_longer_item_goes_by_itself():
    cut = [[len(i.ids) for i in mine] for mine, _ in micro_batches(items([30, 6, 3, 4, 11, 3, 6]), 12)]
    # 3 rows of 4 fill 12, and so do 2 rows of 6.
    assert cut == [[3, 3, 4], [6, 6], [11], [30]]


def test_the_budget_is_that_of_a_process():
    both = [[[len(i.ids) for i in mine] for mine, _ in micro_batches(items([4] * 5 + [8]), 8, r, 2)] for r in (0, 1)]
    # Two rows of 4 a process; then one row of 4 and one of 8, each on a process of its own.
    assert both == [[[4, 4], [4]], [[4, 4], [8]]]


def test_a_process_without_an_item_goes_through_the_motions():
    (mine, counts), (other, counts_too) = (next(micro_batches(items([5]), 100, rank, 2)) for rank in (0, 1))
    assert (counts, counts_too) == (True, False)
    assert mine[0].number == other[0].number == 0


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 100), st.integers(1, 5))
def test_all_processes_together_have_every_item_once_within_the_budget(lengths, tokens, world):
    of_rank = [list(micro_batches(items(lengths), tokens, rank, world)) for rank in range(world)]
    assert len({len(batches) for batches in of_rank}) == 1
    counted = sorted(i.number for batches in of_rank for mine, counts in batches if counts for i in mine)
    assert counted == list(range(len(lengths)))
    for mine, _ in (pair for batches in of_rank for pair in batches):
        assert len(mine) == 1 or max(len(i.ids) for i in mine) * len(mine) <= tokens


def test_nothing_gives_nothing():
    assert list(micro_batches([], 10)) == []
