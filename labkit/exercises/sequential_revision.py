"""Checks of the exercises in notebooks/03_sequential_revision."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

from labkit.envs import game, judge, prompt, start
from labkit.episode import Episode
from labkit.exercises import NotYet, exercise, expect


@exercise(
    "The user says the first prompt and the feedback.",
    "Each answer is followed by the feedback to it: user, assistant, user, assistant, user.",
)
def dialogue(learner: Any) -> str:
    """A list of (role, text): the first prompt, then every answer followed by its feedback, none left out."""
    episode = start(game("gp-l").task(hand=["3", "3", "8", "8"]))
    for formula in ("", "3+3+8+8", "3*8", "(8-3"):
        if formula:
            episode = judge(episode, f'{{"formula": "{formula}"}}')
        tries = episode.position.attempts
        given = ("Make 24.", [a.answer for a in tries], [a.verdict.feedback for a in tries])
        right = [(message.role, message.text) for message in prompt(episode)]
        expect(learner, given, [("user", "Make 24."), *right[1:]])
    return "right for up to three attempts"


@exercise(
    "While an episode is open: ask for answers to all open ones, and judge each with judge(episode, text, sample).",
    "episode.done says whether an episode has ended; keep the list in order, and put the judged episode in its place.",
    "change gets the episodes that have just failed and are still open, and returns what takes their places.",
)
def revise(learner: Any) -> str:
    """The episodes, in order, each played until it is done; change is applied after each round, if it is given."""
    if not callable(learner):
        raise NotYet(f"give a function, not {learner!r}")
    hands = [["3", "3", "8", "8"], ["K", "6", "2", "4"], ["2", "2", "2", "3"]]
    opened = [start(game("gp-l").task(hand=hand, attempts=3)) for hand in hands]
    formulas = [["3+3+8+8", "8/(3-8/3)"], ["(10-4)*(6-2)"], ["2*2", "2+2", "3*2"]]
    scripts = {episode.task.id: script for episode, script in zip(opened, formulas, strict=True)}
    asked: list[int] = []

    def answer(episodes: list[Episode]) -> list[SimpleNamespace]:
        asked.append(len(episodes))
        if any(episode.done for episode in episodes) or len(asked) > 9:
            raise NotYet("answer() is asked for episodes that are done; ask for the open ones, while there are any")
        texts = (scripts[e.task.id][len(e.attempts)] for e in episodes)
        return [SimpleNamespace(text=f'{{"formula": "{text}"}}', sample=None) for text in texts]

    def silent(episodes: list[Episode]) -> list[Episode]:
        if any(episode.done for episode in episodes):
            raise NotYet("change() gets an episode that is done; give it those that failed and are still open")
        return [_with_feedback(episode, "No.") for episode in episodes]

    for change in (None, silent):
        asked.clear()
        shown = f"three hands that take 2, 1 and 3 answers, {'with' if change else 'without'} change"
        played = list(learner(list(opened), answer, change))
        if asked != [3, 2, 1]:
            raise NotYet(f"{shown}: answer() is asked for {asked} episodes; it should be [3, 2, 1]")
        if [len(episode.attempts) for episode in played] != [2, 1, 3]:
            raise NotYet(f"{shown}: {[len(e.attempts) for e in played]} attempts; it should be [2, 1, 3]")
        # The last feedback of an episode is never changed: nobody reads it.
        heard = {attempt.verdict.feedback for episode in played for attempt in episode.attempts[:-1]}
        if change and heard != {"No."}:
            raise NotYet(f"{shown}: the next answers read {sorted(heard)}; they should read ['No.']")
    return "three hands played to their ends, with and without changed feedback"


def _with_feedback(episode: Episode, feedback: str) -> Episode:
    *before, last = episode.position.attempts
    last = replace(last, verdict=replace(last.verdict, feedback=feedback))
    return replace(episode, positions=(replace(episode.position, attempts=(*before, last)),))


@exercise(
    "For each n, count the hands with a success among their first n attempts.",
    "Divide by all hands, also by those that were solved before.",
)
def success_within(learner: Any) -> str:
    """A list of k shares: of all hands, those that have a True among their first 1, 2, ..., k verdicts."""
    yes, late, never = [True], [False, False, True], [False] * 5
    expect(learner, ([yes, late, never, never], 3), [0.25, 0.25, 0.5])
    expect(learner, ([never], 5), [0.0] * 5)
    expect(learner, ([yes, [False, True]], 1), [0.5])
    expect(learner, ([[False] * n + [True] for n in range(5)], 5), [0.2, 0.4, 0.6, 0.8, 1.0])
    return "right for four classes of hands"


@exercise(
    "It is 1 minus the probability that all k are wrong.",
    "There are comb(n, k) ways to choose, and comb(n - c, k) of them are all wrong.",
)
def pass_at_k(learner: Any) -> str:
    """The probability that k samples, drawn from n without replacement, contain at least one of the c right ones."""
    examples = [(2, 1, 2), (5, 0, 3), (5, 5, 1), (5, 1, 1), (5, 2, 3)]
    every = [(n, c, k) for n in range(1, 7) for c, k in product(range(n + 1), range(1, n + 1))]
    for n, c, k in examples + every:
        ways = list(combinations(range(n), k))
        expect(learner, (n, c, k), sum(min(chosen) < c for chosen in ways) / len(ways))
    return f"right for all {len(every)} cases up to 6 samples, counted one by one"


@exercise(
    "Attempt n takes place if all before it were wrong: with probability (1 - p) ** (n - 1).",
    "When it takes place it earns 5 p - (1 - p) on average; the penalty falls with probability (1 - p) ** attempts.",
)
def expected_return(learner: Any) -> str:
    """The expected return: -1 for a wrong answer, +5 for a right one, -1 more if all attempts are wrong."""
    # By hand: (p, 1): 5p - 2(1 - p); (1/2, 2): 5/2 + 4/4 - 3/4.
    for given, right in {(1.0, 5): 5.0, (0.0, 5): -6.0, (0.5, 1): 1.5, (0.5, 2): 2.75, (0.0, 1): -2.0}.items():
        expect(learner, given, right)
    for p, attempts in product((0.1, 0.25, 0.9), (1, 3, 5, 10)):
        outcomes = [((1 - p) ** n * p, 5.0 - n) for n in range(attempts)] + [((1 - p) ** attempts, -attempts - 1.0)]
        expect(learner, (p, attempts), sum(chance * earned for chance, earned in outcomes))
    returns = ", ".join(f"{learner(p, 5):+.2f} for p = {p}" for p in (0.1, 0.3, 0.6))
    return f"with five attempts {returns}"
