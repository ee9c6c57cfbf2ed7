"""A figure of the paper in a notebook."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from IPython.display import display

from labkit.replication.archive import Archive
from labkit.replication.draw import Axis, draw
from labkit.replication.findings import findings
from labkit.replication.missing import how_many, missing_jobs
from labkit.replication.plan import load_plan
from labkit.replication.stored import Data, collect

# What fits beside JupyterLab's file browser on a small laptop; a longer line is broken there within a word.
WIDTH = 96


def show_figure(
    plan: str | Path, archive: Archive, axis: Axis = "flops", *, cells: tuple[str, ...] | None = None
) -> Data:
    """Print what a figure asks and what the paper found, draw what is stored of it, and say what that finds.

    Args:
        plan: the file of a plan, ``configs/figures/NN.yaml``.
        archive: the stored runs.
        axis: what lies along the x axis to begin with, for curves over training.
        cells: only these of the plan's.

    Returns:
        What is stored, false where that is nothing.

    Raises:
        UsageError: the plan is wrong, or has nothing in these cells.
    """
    figure = load_plan(plan, cells=cells)
    data, jobs = collect(figure, archive), missing_jobs(figure, archive)
    print(fill(f"{figure.plan.source}. {figure.plan.question}", WIDTH))
    print(fill(f"The paper: {figure.plan.paper}", WIDTH))
    if figure.plan.caveat:
        print(fill(f"Note: {figure.plan.caveat}", WIDTH))
    if jobs:
        print(f"{how_many(jobs)} missing; `labkit figures {figure.id} --run` makes them.")
    if data:
        display(draw(data, axis))
        for one in findings(data):
            print(fill(one.sentence, WIDTH, initial_indent="• ", subsequent_indent="  "))
    return data
