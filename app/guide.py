"""The tab *Guide*: the words of the page, each in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.envs.games import rows
from labkit.envs.virl.verifier import REWARD
from labkit.views.markup import signed, text

WORDS = {
    "Episode": "One task and the whole exchange about it: deal, prompt, answers, verdicts.",
    "Attempt": (
        "One answer. After a wrong one the verifier's sentence is appended to the dialogue and the player "
        "answers again (sequential revision)."
    ),
    "Rule": (
        "What J, Q and K count as. Models are trained with “all 10”; 11, 12 and 13 is the changed rule, outside "
        "the training distribution (rule-OOD). Only one sentence of the prompt differs."
    ),
    "Rule, in V-IRL": (
        "How a turn is named. Models are trained with absolute turns (north, east …); relative turns (left, "
        "right …) are the changed rule. The instruction always gives both."
    ),
    "Rail and free": (
        "Two ways to walk. On the rail, as in the paper, only a right action is carried out. In a free walk "
        "every action is carried out, and the walk counts if it stops within 25 m of the destination."
    ),
    "Verifier": (
        "A program, not a model. It reads the answer, computes in exact fractions and names the first check "
        "that failed. Its sentence is quoted word for word."
    ),
    "Reward": (
        "The number that training uses for a verdict; the Rule lab tab lists them. Total is the sum so far, "
        "return the sum over the episode. In V-IRL: "
        + ", ".join(f"{name.replace('_', ' ')} {signed(reward)}" for name, reward in REWARD.items())
        + "."
    ),
    "✓ ✗ ⊘": "Correct; wrong; could not be read (no complete JSON object, or no readable formula).",
    "Under the other rule": (
        "The same answer, judged by the other rule. “Would be correct” means that the player followed a rule "
        "that the prompt did not state."
    ),
    "Underlined field": (
        "The part of the answer that decides the verdict: the formula, or the action. Its log-probability, in "
        "nats at the sampling temperature, is shown for models that report it."
    ),
    "Value estimate": "The return a critic expected before the answer, for models that have one.",
    "Players side by side": (
        "One to three players on the same deal or route, each with its own Play button. “Play all” starts them "
        "together. Models answer in turn; others wait in line and see their place."
    ),
    "Recorded, live, stopped by you": (
        "Played earlier and stored; played now; ended by the Stop button, with the attempts made so far."
    ),
    "SFT and RL": (
        "Supervised fine-tuning imitates expert answers; reinforcement learning is rewarded by the "
        "verifier. The paper “SFT Memorizes, RL Generalizes” (arXiv 2501.17161) compares them when the rule "
        "changes."
    ),
}


def guide_html() -> str:
    """The glossary, and the failure tags with their meanings."""
    words = "".join(f"<dt>{text(word)}</dt><dd>{text(meaning)}</dd>" for word, meaning in WORDS.items())
    tags = "".join(_tags(f"Failure tags: {row.title}", row.load("view").TAGS) for row in rows())
    return f'<div class="lk app-guide"><section><h2>Words</h2><dl>{words}</dl></section><div>{tags}</div></div>'


def _tags(title: str, meanings: Mapping[str, str]) -> str:
    if not meanings:
        return ""
    tags = "".join(f"<dt><code>{text(tag)}</code></dt><dd>{text(meaning)}</dd>" for tag, meaning in meanings.items())
    return f"<section><h2>{title}</h2><dl>{tags}</dl></section>"
