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
    "Init, SFT, RL": (
        "Three checkpoints of one small model. Init knows the game a little. SFT is Init, trained on with expert "
        "answers (supervised fine-tuning). RL is Init, trained on with the verifier's rewards (reinforcement "
        "learning). The paper “SFT Memorizes, RL Generalizes” (arXiv 2501.17161) compares the two when the rule "
        "changes."
    ),
    "Player names": (
        "tiny:gp-l/init is a bundled model: gp-l is GeneralPoints in text, virl-l is V-IRL in text. The expert "
        "knows the right answer; the random player guesses."
    ),
    "Rule": (
        "What J, Q and K count as. In training all three count as 10. Under the changed rule (rule-OOD, out of "
        "distribution) they count as 11, 12 and 13. Only one sentence of the prompt differs."
    ),
    "Rule, in V-IRL": (
        "How a turn is named. Models are trained with absolute turns (north, east …); relative turns (left, "
        "right …) are the changed rule. The instruction always gives both."
    ),
    "Rail and free": (
        "Two ways to walk. On the rail, as in the paper, only a right action is carried out. In a free walk "
        "every action is carried out, and the walk counts if it stops within 25 m of the destination. The rail’s name, "
        "shown where a link has one, fixes its random choices: the first heading, and the points between turns."
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
    "Thought": (
        "What a player may write before its formula: a search, step by step. The verifier ignores it. It is folded; "
        "opened, it has a try a line, and tries that missed the target are grey."
    ),
    "Temperature": (
        "At 0 a model always takes its likeliest token. Above 0 its tokens are drawn at random, the seed fixes how. A "
        "model that searches needs some variety. A tab opens at the temperature at which its notes were played."
    ),
    "Underlined field": (
        "The part of the answer that decides the verdict: the formula, or the action. For models, its "
        "log-probability (log p, in nats) is shown: 0 means that the model was certain."
    ),
    "Bars of a choice": (
        "In the first tab: how probable each candidate of the underlined field was to the model, at temperature 1, "
        "given the prompt and what it had written so far. In GeneralPoints it is the number of the first face card."
    ),
    "Token probabilities": (
        "A part of a card that opens. A model writes token by token; the darker a token, the less probable it was, or "
        "the more undecided the model was there. Point at a token, or go to it with the Tab key, to read its "
        "probability and the most probable other tokens. They are computed when you ask, at temperature 1."
    ),
    "Where do they part?": (
        "Of two players on the same deal: the first token in which their answers differ, with the probability that "
        "each model gave to its own token and to the other's."
    ),
    "Fail as attempt 1 did": (
        "Attempts one after the other to which the verifier says the same are folded into one line, which opens."
    ),
    "What if": (
        "A fork of an episode at one of its turns: put another answer or another feedback there, change the rule, the "
        "cards or the instruction, or let another player answer. The answers before the turn stay; where the task "
        "changes they are judged again. The tree keeps every branch, and two of them stand side by side."
    ),
    "Value estimate": "The return that the critic expected before the answer; only for models with a critic.",
    "Players side by side": (
        "One to three players on the same deal or route, each with its own Play button. “Play all” starts them "
        "together. Models answer in turn; others wait in line and see their place."
    ),
    "Many deals": (
        "All players at the table play the same deals. A bar is the share of solved deals with its 95% interval; the "
        "paired difference of two players is tested with McNemar’s exact test. A click on a deal opens everybody’s "
        "answers."
    ),
    "Checkpoints": (
        "The deal on the table, played once by each checkpoint on the way of a run. The slider moves from one to the "
        "next; the lines count the deals that were played here under the same settings."
    ),
    "Blind duel": (
        "Two checkpoints play the same held-out deal without their names: one was trained with RL, one was not. The "
        "names are told after the guess, and the page counts the right guesses."
    ),
    "Score": (
        "You against the players at the table: the deals that you have finished and a player has finished too, and "
        "who solved each. Of a deal that is played several times the first end counts. The score does not know "
        "whether you had seen a player’s answer before. It lasts until you reset it or close the page."
    ),
    "Put this deal on the table": (
        "A link from Many deals, What if and Inspect to the game’s tab, with the deal, its rule and the players. It "
        "opens a window of its own. Deals that the tab cannot show have no link: routes of training, of the unseen "
        "district or of a folder, pictures under other conditions, and other prompts."
    ),
    "Notes and tags": (
        "In Inspect, a text and tags under an open episode, kept beside the run for all who open it. The tags are "
        "bars that filter, and the search looks in notes too. They can be written where the server was started with "
        "“labkit app --notes DIR”; everybody who can open the page can then change them."
    ),
    "Class": (
        "A tab where the server was started with “labkit app --class”. The teacher opens a question about the story, "
        "everybody votes on a phone at /class, and the teacher shows the votes and the recorded answer."
    ),
    "Recorded, live, stopped by you": (
        "Where an episode comes from: played earlier and stored; played just now; ended with the Stop button, with "
        "the attempts made until then."
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
