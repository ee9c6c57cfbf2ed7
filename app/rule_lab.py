"""The Rule lab tab: one answer, judged under every rule at once. No model."""

from __future__ import annotations

import gradio as gr

from app.flow import solution, typed_answer
from app.panels import note
from app.presets import FIRST
from app.state import CUSTOM, FieldError, Settings
from labkit import envs
from labkit.envs.general_points.cards import FACES, numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.envs.general_points.verifier import CATEGORIES, REWARD
from labkit.views.general_points import rule_label
from labkit.views.markup import mark_of, signed, text

EXAMPLE = "10+6+2*4"
INTRO = (
    "One answer, judged under every rule at once. Type a formula, or a whole answer as a model would write "
    "it, and see which verdicts the rule decides."
)


def verdicts(
    cards: str, answer: str, jack: float | None, queen: float | None, king: float | None, target: float
) -> str:
    """The verdicts table, or a sentence about the field that cannot be."""
    custom = Settings(cards=cards, rule=CUSTOM, jack=jack, queen=queen, king=king, target=target)
    try:
        rows = [_row(Settings(cards=cards, rule=rule, target=target), answer) for rule in FACES]
        rows.append(_row(custom, answer))
    except FieldError as error:
        return note(str(error))
    head = "".join(
        f'<th scope="col">{h}</th>' for h in ("Rule", "Cards count as", "Verdict", "Reward", "Feedback", "A solution")
    )
    return f'<table class="lk app-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(settings: Settings, answer: str) -> str:
    task = settings.task
    ranks, faces, target = ranks_of(task.deal), task.rule["faces"], task.rule["target"]
    numbers = numbers_of(ranks, faces)
    written = answer if "{" in answer else typed_answer(ranks, faces, target, answer.strip())
    [attempt] = envs.judge(envs.start(task), written).attempts
    verdict = attempt.verdict
    cells = (
        ", ".join(map(str, numbers)),
        mark_of(verdict).html(),
        signed(verdict.reward),
        text(verdict.feedback),
        f"<code>{text(solution(task) or 'none')}</code>",
    )
    return f'<tr><th scope="row">{text(rule_label(faces))}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'


def reward_table() -> str:
    """What each verdict is worth, in the order of the checks."""
    rows = "".join(
        f'<tr><th scope="row">{text(name.replace("_", " "))}</th><td>{signed(REWARD[name])}</td></tr>'
        for name in (*CATEGORIES, "exhausted")
    )
    return (
        '<table class="lk app-table"><caption>The first check that fails decides (from the top). '
        "<em>Exhausted</em> is added to the last attempt of an episode that was not solved.</caption>"
        '<thead><tr><th scope="col">Verdict</th><th scope="col">Reward</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def build() -> None:
    """The tab's components and events."""
    with gr.Row(elem_classes="app-columns"):
        with gr.Column(scale=3, min_width=330):
            gr.HTML(f'<p class="lk">{INTRO}</p>', apply_default_css=False)
            with gr.Row(elem_classes="app-fields"):
                cards = gr.Textbox(FIRST.cards, label="Cards", max_lines=1, max_length=40, min_width=110, scale=2)
                target = gr.Number(24, label="Target", precision=0, min_width=78)
                faces = [gr.Number(5, label=f"{rank} in my rule", precision=0, min_width=78) for rank in "JQK"]
            with gr.Row(elem_classes="app-fields"):
                answer = gr.Textbox(EXAMPLE, label="Answer: a formula, or JSON", lines=2, max_length=4000)
            table = gr.HTML(verdicts(FIRST.cards, EXAMPLE, 5, 5, 5, 24), apply_default_css=False)
        with gr.Column(scale=1, min_width=240):
            gr.HTML(reward_table(), apply_default_css=False)
    inputs = [cards, answer, *faces, target]
    gr.on(
        [c.change for c in inputs], verdicts, inputs, table,
        queue=False, show_progress="hidden", trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
