"""The paper's figures, from stored runs.

``configs/figures/NN.yaml`` says what a figure is made of (:mod:`plan`); :mod:`archive` finds the stored runs that it
asks for, by their resolved configs, and says which it lacks; :mod:`stored` reads the numbers out of them;
:mod:`series` computes changes, and curves over seeds; :mod:`draw` makes the picture, :mod:`findings` the sentences,
:mod:`page` and :mod:`report` what is read.
"""

from labkit.replication.archive import Archive, keep
from labkit.replication.plan import Plan, load_plan, plans

__all__ = ["Archive", "Plan", "keep", "load_plan", "plans"]
