"""Checks of the exercises in notebooks/10_when_rl_fails."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch

from labkit.envs.general_points.verifier import REWARD
from labkit.exercises import NotYet, exercise, expect
from labkit.training.rl import objectives
from labkit.training.rl.collapse import CollapseThresholds, collapse

WARD = {
    "A": {
        "return": [2.12, 2.81, 2.79, 2.96, 2.04, 2.79, 2.83, 2.75],
        "success": [0.604, 0.0625, 0.0417, 0.0, 0.0208, 0.0, 0.0, 0.0],
        "entropy": [0.117, 0.158, 0.195, 0.272, 0.271, 0.27, 0.278, 0.297],
        "gradient": [3.01, 0.673, 1.12, 0.549, 0.64, 0.464, 0.486, 0.417],
    },
    "B": {
        "return": [-2.81, -5.0, -5.83, -6.5, -4.0, -3.0],
        "success": [0.333, 0.167, 0.0, 0.0, 0.167, 0.333],
        "entropy": [0.00111, 7.72e-07, 1.46e-07, 1.63e-06, 9.73e-05, 9.28e-09],
        "gradient": [4.12, 0.0, 0.0, 0.0, 0.0, 0.0],
    },
    "C": {
        "return": [-5.06, -10.0, -10.0, -10.0],
        "success": [0.146, 0.0, 0.0, 0.0],
        "entropy": [0.336, 0.055, 4.01e-06, 1.61e-06],
        "gradient": [0.485, 0.122, 7.7e-07, 1.26e-07],
    },
    "D": {
        "return": [-9.1, -7.98, -7.36, -7.23, -5.77, -5.58, -4.96, -4.57],
        "success": [0.113, 0.176, 0.199, 0.203, 0.297, 0.312, 0.332, 0.363],
        "entropy": [0.216, 0.203, 0.194, 0.186, 0.178, 0.172, 0.161, 0.159],
        "gradient": [0.317, 0.206, 0.168, 0.165, 0.141, 0.136, 0.151, 0.163],
    },
}
"""The first updates of four runs on gp-l, from an earlier Init that wrote no thoughts. A: from its PPO player, every
answer with a formula paid +1, lr 1e-3. B: GRPO at temperature 0.001. C: lr 1e-2, no KL. D: PPO at lr 1.5e-4. A to C: 48
episodes an update, three attempts."""

_DISEASES = {"A": "hacked reward", "B": "no signal", "C": "learning rate", "D": "healthy"}


@exercise(
    "Count updates in a row below the bound; an update that is not below it resets the count.",
    "The run stops as soon as the count reaches patience, and later updates do not count.",
)
def stops_after(learner: Any) -> str:
    """The number of updates done when the last `patience` all lie below the bound for the first time, or None."""
    cases = [[0.5, 0.1, 0.1, 0.1], [0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1], [0.5, 0.4, 0.1, 0.1], [0.1] * 3, [], [0.2] * 5]
    for entropies, patience in product(cases, (1, 2, 3)):
        bounds = CollapseThresholds(entropy=0.2, kl=None, spread=None, patience=patience)
        logged = [{"policy/entropy_avg": e, "rollout/return_std": 1.0} for e in entropies]
        done = (n for n in range(1, len(logged) + 1) if collapse(logged[:n], bounds))
        expect(learner, (entropies, 0.2, patience), next(done, None))
    return "stops where the trainer stops, in 18 cases"


@exercise(
    "Take the best-paid wrong answer, and give it as often as you like: before a right one, or at every attempt.",
    "Being right at attempt k earns (k - 1) * best + correct; never being right earns attempts * best + exhausted.",
)
def can_be_hacked(learner: Any) -> str:
    """True if some sequence of answers earns more than a right one at the first attempt."""
    paper = {name: value for name, value in REWARD.items() if name != "combine"}
    form = dict.fromkeys(paper, 1.0) | {"unreadable": -1.0, "exhausted": 0.0}
    tables = [paper, form, paper | {"wrong_value": 1.5}, paper | {"wrong_value": 1.0, "exhausted": -9.0}]
    tables += [paper | {"unreadable": 0.0}, paper | {"wrong_numbers": 1.25, "exhausted": 0.0}]
    small = {"correct": 1.0, "exhausted": 0.0, "wrong_value": 0.4}
    for table, attempts in product([*tables, small], (1, 2, 5)):
        expect(learner, (table, attempts), _best(table, attempts) > table["correct"] + 1e-9)
    return "right for seven tables, with every sequence of answers tried"


def _best(table: dict[str, float], attempts: int) -> float:
    """The highest return of all sequences of answers."""
    wrong = [name for name in table if name not in ("correct", "exhausted")]
    earned = []
    for length in range(attempts):
        for before in product(wrong, repeat=length):
            earned.append(sum(table[w] for w in before) + table["correct"])
    earned += [sum(table[w] for w in all_) + table["exhausted"] for all_ in product(wrong, repeat=attempts)]
    return max(earned)


@exercise(
    "A wrong answer that earns more than 0 is worth giving before the right one.",
    "Give every wrong answer a pay of at most 0; leave `correct` and the entries' names as they are.",
)
def mended(learner: Any) -> str:
    """A table with the same entries and the same `correct`, under which nothing earns more than being right at once."""
    if not callable(learner):
        raise NotYet(f"give a function, not {learner!r}")
    form = dict.fromkeys(REWARD, 1.0) | {"unreadable": -1.0, "exhausted": 0.0}
    del form["combine"]
    for table in (form, form | {"wrong_value": 3.0}, form | {"correct": 0.5, "wrong_numbers": 0.25}):
        got = learner(dict(table))
        if not isinstance(got, dict) or got.keys() != table.keys():
            raise NotYet(f"for {table} it returns {got!r}; it should have the same entries")
        if got["correct"] != table["correct"]:
            raise NotYet(f"for {table} a right answer earns {got['correct']}; it should still earn {table['correct']}")
        for attempts in (1, 2, 5):
            if (most := _best(got, attempts)) > got["correct"] + 1e-9:
                raise NotYet(f"{got} can be hacked: within {attempts} attempts one can earn {most:g}")
    return "three tables mended; no sequence of up to five answers beats a right one"


@exercise(
    "log r of a token is initial_logp - logp.",
    "Each token gives exp(log r) - 1 - log r; then the mean.",
)
def k3(learner: Any) -> str:
    """The mean over tokens of r - 1 - log r, where r is the initial policy's probability over the policy's."""
    cases = [([-1.0], [-1.0]), ([-0.1], [-2.3]), ([-2.3], [-0.1]), ([-9.0], [0.0])]
    cases += [([-0.5, -1.2, -0.01], [-0.6, -0.2, -3.0])]
    for new, old in cases:
        right = objectives.kl_k3(*(torch.tensor(x, dtype=torch.double) for x in (new, old))).mean()
        expect(learner, (new, old), float(right))
    return "right for five answers, one with a token to which the initial policy gave probability 1"


@exercise(
    "Begin with the run whose return and success move apart.",
    "B's gradient is 0 although it plays well enough, C's because it always earns the same.",
)
def diagnosis(answer: dict[str, str]) -> str:
    """For each of A, B, C, D one of "healthy", "learning rate", "hacked reward", "no signal"."""
    if not isinstance(answer, dict) or set(answer) != set(_DISEASES):
        raise NotYet(f"give a dictionary with the keys A, B, C and D, not {answer!r}")
    if strange := sorted({str(v) for v in answer.values()} - set(_DISEASES.values())):
        raise NotYet(f"{strange[0]!r} is none of the four")
    right = sum(answer[patient] == disease for patient, disease in _DISEASES.items())
    if right < len(_DISEASES):
        raise NotYet(f"{right} of 4 are right")
    return "all four"
