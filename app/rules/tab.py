"""The Rule lab tab: one answer, judged under every rule at once. No model."""

from __future__ import annotations

import gradio as gr

from app.general_points.handlers import solution, written
from app.general_points.settings import CUSTOM, GeneralPointsSettings
from app.shared.html import note
from app.shared.settings import FieldError
from app.shared.tab import QUICK, html
from labkit import envs
from labkit.envs.general_points.cards import FACES, numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.envs.general_points.verifier import CATEGORIES, REWARD
from labkit.views.general_points import rule_label
from labkit.views.markup import mark_of, signed, text

COLUMNS = ("Cards count as", "Verdict", "Reward", "Feedback", "A solution")
EXAMPLE = "10+6+2*4"
HAND = "K 6 2 4"
"""The hand that the example answers: rightly, as long as the king counts as 10."""
INTRO = (
    "The same answer, judged under three rules: the trained one, the changed one and one of your own. Type a formula, "
    "or a whole answer as a model writes it (JSON), and compare the verdicts."
)


def verdicts(
    cards: str, answer: str, jack: float | None, queen: float | None, king: float | None, target: float
) -> str:
    """The verdicts table, or a message about an invalid field."""
    custom = GeneralPointsSettings(cards=cards, rule=CUSTOM, jack=jack, queen=queen, king=king, target=target)
    try:
        rows = [_row(GeneralPointsSettings(cards=cards, rule=rule, target=target), answer) for rule in FACES]
        rows.append(_row(custom, answer))
    except FieldError as error:
        return note(str(error))
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Rule", *COLUMNS))
    return f'<table class="lk app-table app-cards"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(settings: GeneralPointsSettings, answer: str) -> str:
    task = settings.task
    ranks, faces, target = ranks_of(task.deal), task.rule["faces"], task.rule["target"]
    numbers = numbers_of(ranks, faces)
    full = answer if "{" in answer else written(ranks, faces, target, answer.strip())
    [attempt] = envs.judge(envs.start(task), full).attempts
    verdict = attempt.verdict
    cells = (
        ", ".join(map(str, numbers)),
        mark_of(verdict).html(),
        signed(verdict.reward),
        text(verdict.feedback),
        f"<code>{text(solution(task) or 'none')}</code>",
    )
    columns = "".join(f'<td data-column="{name}">{cell}</td>' for name, cell in zip(COLUMNS, cells, strict=True))
    return f'<tr><th scope="row">{text(rule_label(faces))}</th>{columns}</tr>'


def reward_table() -> str:
    """What each verdict is worth, in the order of the checks."""
    rows = "".join(
        f'<tr><th scope="row">{text(name.replace("_", " "))}</th><td>{signed(REWARD[name])}</td></tr>'
        for name in (*CATEGORIES, "exhausted")
    )
    return (
        '<table class="lk app-table"><caption>The verifier checks from the top; the first check that fails is the '
        "verdict. <em>Exhausted</em> is added to the last reward when all attempts are used up.</caption>"
        '<thead><tr><th scope="col">Verdict</th><th scope="col">Reward</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def build() -> None:
    """The tab's components and events."""
    with gr.Row(elem_classes="app-columns"):
        with gr.Column(scale=3, min_width=330):
            gr.HTML(f'<p class="lk">{INTRO}</p>', apply_default_css=False)
            with gr.Row(elem_classes="app-fields app-nowrap"):
                cards = gr.Textbox(HAND, label="Cards", max_lines=1, max_length=40, min_width=110, scale=2)
                target = gr.Number(24, label="Target", precision=0, min_width=70)
                faces = [gr.Number(5, label=f"My {rank}", precision=0, min_width=58) for rank in "JQK"]
            with gr.Row(elem_classes="app-fields"):
                answer = gr.Textbox(EXAMPLE, label="Answer: a formula, or JSON", lines=2, max_length=4000)
            table = html(live=True, value=verdicts(HAND, EXAMPLE, 5, 5, 5, 24))
        with gr.Column(scale=1, min_width=240):
            gr.HTML(reward_table(), apply_default_css=False)
    inputs: list[gr.Textbox | gr.Number] = [cards, answer, *faces, target]
    gr.on([c.change for c in inputs], verdicts, inputs, table, trigger_mode="always_last", **QUICK)
