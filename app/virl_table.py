"""What the V-IRL tab shows after each thing that can happen, by the names of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

import gradio as gr

from app import flow, link, panels, virl_panels
from app.playing import Playing, Updates
from app.state import FieldError, Shown, same_deal
from app.virl_state import Gaze, Settings, Window, routes_of
from labkit import envs
from labkit.episode import Episode, Task

BEGIN, AGAIN, BACK = "Walk it yourself", "Walk it again", "Back to your walk"


class WalkTable(Playing):
    """The handlers of the tab."""

    FROZEN = (
        "city", "route", "actions", "walk", "cell", "player", "attempts", "temperature", "pace",
        "play", "step",
    )  # fmt: skip
    NOTES = dict.fromkeys(("route", "actions", "walk", "cell", "attempts"), "note")

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab."""
        first = Settings(player=self.catalogue.walker())
        mine = query if query.get("tab") == "virl" else {}
        settings, refused = link.read_walk(mine, first, self.catalogue.specs)
        laid = self.move(Window(settings))
        said = panels.refused(query, refused, recorded=laid["shown"] is not None)
        return {**asdict(settings), **laid, "notice": said}

    def move(self, window: Window) -> Updates:
        """To another city: its routes, and the first of them on the map."""
        try:
            settings = window.settings.here()
        except FieldError as error:
            return self.beside(error)
        choices = [
            (f"{number} · {route.start.name} → {route.destination.name}", name)
            for number, (name, route) in enumerate(routes_of(settings.city).items())
        ]
        laid = self.lay(replace(window, settings=settings))
        return {**laid, "route": gr.update(choices=choices, value=settings.route)}

    def lay(self, window: Window) -> Updates:
        """After a change of a control: the way as it is now; walks under other settings are marked."""
        settings, shown = window.settings, window.shown
        try:
            task = settings.task
        except FieldError as error:
            return self.beside(error)
        if shown is None or shown.origin == "recorded":
            shown = flow.recorded(task, settings.player)
        window = replace(window, shown=shown, gaze=Gaze(you=window.gaze.you))
        badge = panels.player_badge(self.catalogue.infos.get(settings.player or ""))
        return {"note": "", "badge": badge, **self._all(window, task)}

    def look(self, window: Window, session: str, whose: object, step: object) -> Updates:
        """At a step of a walk; while the player walks, the window follows it."""
        if self.flags.running(session):
            return {}
        you = window.gaze.you if whose is None else whose == "you"
        episode = window.own if you else window.shown.episode if window.shown else None
        known = isinstance(step, int) and episode is not None and 0 <= step < len(episode.positions)
        if not known:
            return {}
        try:
            return self._all(replace(window, gaze=Gaze(you, step)), window.settings.task)
        except FieldError as error:
            return self.beside(error)

    def live(self, window: Window, task: Task, session: str, one: bool = False) -> Iterator[Shown]:
        """The player's walk, from where it stands if it can go on.

        Args:
            one: a single answer, instead of all.
        """
        flag, settings, shown = self.flags.of(session), window.settings, window.shown
        open_walk = shown is not None and shown.origin != "recorded" and not shown.episode.done
        goes_on = open_walk and same_deal(shown.episode.task, task) and shown.episode.player == settings.player
        begun = shown.episode if goes_on else task
        for answers, walked in enumerate(flow.live(self.catalogue, settings, begun, flag.is_set)):
            yield walked
            if one and answers:
                return
            if answers:
                flag.wait(settings.seconds())

    def one_step(self, window: Window, session: str) -> Iterator[Updates]:
        """The Step button: one answer."""
        return self.run(window, session, one=True)

    def waiting(self, window: Window, task: Task, said: str) -> Updates:
        window = replace(window, gaze=Gaze())
        return {**self._all(window, task, said), "status": panels.busy(said)}

    def player_side(self, window: Window, task: Task, running: str = "") -> Updates:
        return self._all(replace(window, gaze=Gaze()), task, running)

    def walk_yourself(self, window: Window) -> Updates:
        """Begin the person's walk, or come back to it."""
        try:
            task = window.settings.task
        except FieldError as error:
            return self.beside(error)
        own = window.own
        if own is None or own.done or not same_deal(own.task, task):
            own = envs.start(task, flow.YOU)
        return self._all(replace(window, own=own, gaze=Gaze(you=True)), task)

    def act(self, window: Window, action: object) -> Updates:
        """The person's action, judged."""
        try:
            own, task = window.own, window.settings.task
        except FieldError as error:
            return self.beside(error)
        if not isinstance(action, str) or own is None or own.done or not same_deal(own.task, task):
            return {}
        return self._all(replace(window, own=flow.act(own, action), gaze=Gaze(you=True)), task)

    def link(self, window: Window) -> Updates:
        """The link to this window's walk."""
        try:
            return {"carrier": link.write_walk(window.settings)}
        except FieldError as error:
            return {"carrier": "", **self.beside(error)}

    def _all(self, window: Window, task: Task, running: str = "") -> Updates:
        """Everything that follows from the walks and from what is looked at."""
        shown, own, gaze = window.shown, window.own, window.gaze
        if gaze.you and own is None:
            gaze = Gaze()
        episode = own if gaze.you else shown.episode if shown else None
        stale = episode is not None and not same_deal(episode.task, task)
        on_stage = envs.start(task) if episode is None or stale else episode
        at = len(on_stage.positions) - 1 if stale or gaze.step is None else gaze.step
        walking = gaze.you and not stale and not own.done
        acting = walking and gaze.step is None
        answered = _answered(episode, gaze.step, walking)
        return {
            "shown": shown,
            "own": own,
            "gaze": gaze,
            "status": _lines(window.shown, own, gaze, task, running),
            "stage": virl_panels.stage(on_stage, at, None if stale else answered, plan=not walking),
            "turns": virl_panels.turns(episode, answered, stale),
            "pad": virl_panels.pad(task.rule["actions"]) if acting else "",
            "own walk": gr.update(value=_invitation(own, task), visible=not acting, interactive=not running),
        }


def _lines(shown: Shown | None, own: Episode | None, gaze: Gaze, task: Task, running: str) -> str:
    """The walks, a line each."""
    lines = []
    if shown is not None:
        chosen = None if gaze.you else _chosen(shown.episode, gaze)
        stale = not same_deal(shown.episode.task, task)
        lines.append(virl_panels.player_walk(shown, chosen, stale, running))
    if own is not None:
        chosen = _chosen(own, gaze) if gaze.you else None
        lines.append(virl_panels.own_walk(own, chosen, not same_deal(own.task, task)))
    return f'<div class="lk app-walks">{"".join(lines)}</div>' if lines else ""


def _chosen(episode: Episode, gaze: Gaze) -> int:
    return len(episode.positions) - 1 if gaze.step is None else gaze.step


def _answered(episode: Episode | None, step: int | None, walking: bool) -> int | None:
    """The step whose cards are shown: the one chosen, else the last that was answered.

    The cards tell the right action: while a person walks, those of the open step are kept back.
    """
    if episode is None:
        return None
    last = len(episode.positions) - 1
    ready = last if episode.position.attempts and not walking else last - 1
    at = ready if step is None else min(step, ready)
    return at if at >= 0 else None


def _invitation(own: Episode | None, task: Task) -> str:
    if own is None or not same_deal(own.task, task):
        return BEGIN
    return AGAIN if own.done else BACK
