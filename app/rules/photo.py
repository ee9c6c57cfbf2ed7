"""Cards of one's own, photographed: read by a player or answered by the person, judged by the same verifier."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import gradio as gr
from PIL import Image

from app.general_points.handlers import written
from app.shared.catalogue import Catalogue
from app.shared.html import note, trouble
from app.shared.live import YOU
from app.shared.tab import PLAYERS, QUICK, html, sent
from labkit import envs
from labkit.envs.general_points import photo as photos
from labkit.envs.general_points.cards import FACES, parse_ranks
from labkit.envs.general_points.game import ranks_of
from labkit.envs.pictures import read_picture
from labkit.episode import Task
from labkit.errors import UsageError
from labkit.evaluation.occlusion import occlusion, overlaid
from labkit.play import play
from labkit.players import Player
from labkit.views.general_points import rule_label
from labkit.views.markup import img, text
from labkit.views.turns import turn_card

MOST = 8 * 2**20
"""Bytes of a photograph, at most."""
SIDE = 320
"""Pixels of the square on the page that the photograph is shown in."""
INTRO = (
    "Your own cards: choose a photograph, and type which cards it shows, since the verifier has to know. A player that "
    "reads pictures answers, or you do."
)
CHOOSER = (
    '<label class="lk app-photo">Photograph of the cards (at most 8 MB) '
    '<input type="file" accept="image/png,image/jpeg,image/webp"></label>'
)


def received(photo: Any) -> tuple[str | None, str]:
    """A photograph as the page sends it, a data URL: as a recipe holds it, and as HTML; or nothing, and why."""
    if not photo:
        return None, note(f"The photograph is larger than {MOST // 2**20} MB; choose a smaller one.")
    sent_text = photo.partition(",")[2] if isinstance(photo, str) else ""
    try:
        if len(sent_text) > MOST * 4 // 3 + 4:
            raise UsageError(f"the photograph is larger than {MOST // 2**20} MB; choose a smaller one")
        image = read_picture(base64.b64decode(sent_text, validate=True), "the photograph")
    except binascii.Error:
        return None, note("The photograph did not arrive whole; choose it again.")
    except UsageError as error:
        return None, note(str(error))
    kept = photos.kept(image)
    picture = img(photos.shown({"photo": kept, "size": SIDE}), "your photograph of cards", "JPEG")
    caption = f"Kept with at most {photos.LONGEST} pixels a side and nothing that the camera wrote besides."
    return kept, f'<figure class="lk lk-seen">{picture}<figcaption class="lk-soft">{caption}</figcaption></figure>'


def mapped(player: Player, task: Task) -> str:
    """The photograph as the player sees it, for each field of its answer, with the patches that change the field."""
    opened = envs.start(task, player.name)
    figures = []
    for name, changed in occlusion(player, opened).changed.items():
        alt = f"{text(name)}: another answer under {int((changed > 0).sum())} of {changed.size} patches"
        picture = overlaid(opened, changed)
        times = max(1, SIDE // picture.width)
        shown = img(
            picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST), alt, "JPEG"
        )
        figures.append(f'<figure class="lk-seen">{shown}<figcaption>{alt}</figcaption></figure>')
    return f'<div class="lk app-maps">{"".join(figures) or "The answer has no field that could change."}</div>'


def answered(
    catalogue: Catalogue, photo: str | None, cards: str, rule: str, typed: str, player: str | None, where: bool = False
) -> str:
    """The verdict on the person's answer or, without one, on the player's.

    Args:
        where: also show which patches of the photograph change the player's answer.
    """
    if photo is None:
        return note("Choose a photograph first.")
    try:
        task = _task(photo, cards, rule)
        if typed.strip():
            return turn_card(envs.judge(envs.start(task, YOU), _answer(task, typed.strip())), 0, 0)
        reader = catalogue.player(player or "", 0.0, lambda: False)
        task = envs.game("gp-vl").task(
            hand=task.deal["cards"], faces=rule, attempts=1, picture={"photo": photo, **reader.picture}
        )
        return turn_card(play(task, reader), 0, 0) + (mapped(reader, task) if where else "")
    except UsageError as error:
        return note(str(error))
    except Exception as error:  # whatever a player does, the app goes on and says what happened
        return trouble(player, error)


def _task(photo: str, cards: str, rule: str) -> Task:
    """One answer to the cards of a photograph."""
    return envs.game("gp-vl").task(hand=parse_ranks(cards[:40]), faces=rule, attempts=1, picture={"photo": photo})


def _answer(task: Task, typed: str) -> str:
    """What the person typed, a formula or a whole answer."""
    return typed if "{" in typed else written(ranks_of(task.deal), task.rule["faces"], task.rule["target"], typed)


def build(catalogue: Catalogue) -> None:
    """The part of the Rule lab with its events."""
    rules = [(rule_label(rule), rule) for rule in FACES]
    with gr.Row():
        with gr.Column(scale=1, min_width=330):
            gr.HTML(f'<p class="lk">{INTRO}</p>', apply_default_css=False)
            chooser = html(script=f"labkit.photo(element, trigger, 'photo', {MOST});", value=CHOOSER)
            shown, kept = html(live=True), gr.State(None)
        with gr.Column(scale=2, min_width=330):
            with gr.Row(elem_classes="app-fields app-nowrap"):
                cards = gr.Textbox(label="Cards on it", max_lines=1, max_length=40, min_width=110)
                rule = gr.Dropdown(rules, value=next(iter(FACES)), label="Rule", min_width=150)
                player = gr.Dropdown(list(catalogue.names), label="Player", min_width=150)
            with gr.Row(elem_classes="app-fields app-nowrap"):
                typed = gr.Textbox(
                    label="Your answer: a formula, or JSON; left empty, the player answers",
                    max_lines=2, max_length=4000, min_width=160, scale=3,
                )  # fmt: skip
                judge = gr.Button("Judge", variant="primary", size="md", min_width=90, elem_classes="app-play")
            where = gr.Checkbox(label="Also show which part of it decides: the player is asked 65 times")
            verdict = html(live=True, script="labkit.turns(element, watch);")

    def receive(data: gr.EventData) -> tuple[str | None, str]:
        return received(sent(data, "photo"))

    def judged(*values: Any) -> str:
        return answered(catalogue, *values)

    chooser.photo(receive, None, [kept, shown], **QUICK)
    judge.click(judged, [kept, cards, rule, typed, player, where], verdict, **PLAYERS)
