"""The tab *How to read this*: the words of the page, each in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.envs.virl.verifier import REWARD
from labkit.views import general_points, virl
from labkit.views.markup import signed, text

WORDS = {
    "Episode": "One task and the whole exchange about it: deal, prompt, answers, verdicts.",
    "Attempt": (
        "One answer. After a wrong one the verifier's sentence is appended to the dialogue and the player "
        "answers again (sequential revision)."
    ),
    "Rule": (
        "What J, Q and K count as. “All 10” is the rule that models are trained on; 11, 12 and 13 is the "
        "probe outside of the training distribution (rule-OOD). The only difference is one sentence of the "
        "prompt."
    ),
    "Rule, in V-IRL": (
        "What a turn is told in: absolute (north, east …), which models are trained on, or relative (left, "
        "right …), the probe. The instruction always says both."
    ),
    "Rail and free": (
        "Ways to walk. On the rail, as in the paper, only a right action is carried out. In a free walk "
        "every action is, and only where one stops counts: within 25 m of the destination."
    ),
    "Verifier": (
        "A program, not a model. It reads the answer, computes in exact fractions and names the first check "
        "that failed. Its sentence is quoted word for word."
    ),
    "Reward": (
        "What a verdict is worth to a learner; the Rule lab tab lists the numbers. Total is the sum so far, "
        "return the sum over the episode. In V-IRL: "
        + ", ".join(f"{name.replace('_', ' ')} {signed(reward)}" for name, reward in REWARD.items())
        + "."
    ),
    "✓ ✗ ⊘": "Correct; wrong; could not be read (no complete JSON object, or no readable formula).",
    "Under the other rule": (
        "The same answer, judged by the other rule. “Would be correct” means the player answered for a rule "
        "that was not asked for: it recalled instead of reading."
    ),
    "Underlined field": (
        "The formula: the part of the answer that decides the verdict. Its log-probability is shown for "
        "models that report it, in nats at the temperature that was sampled."
    ),
    "Value estimate": "The return a critic expected before the answer, for models that have one.",
    "Recorded, live, stopped by you": (
        "Played beforehand and stored; played now; halted by the Stop button, with the attempts made so far."
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
    return (
        f'<div class="lk app-guide"><section><h2>Words</h2><dl>{words}</dl></section><div>'
        f"{_tags('Failure tags: GeneralPoints', general_points.TAGS)}"
        f"{_tags('Failure tags: V-IRL', virl.TAGS)}</div></div>"
    )


def _tags(title: str, meanings: Mapping[str, str]) -> str:
    tags = "".join(f"<dt><code>{text(tag)}</code></dt><dd>{text(meaning)}</dd>" for tag, meaning in meanings.items())
    return f"<section><h2>{title}</h2><dl>{tags}</dl></section>"
