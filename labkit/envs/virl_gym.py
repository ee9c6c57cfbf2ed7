"""V-IRL as a Gymnasium environment; :mod:`labkit.envs.gym_env` registers it as ``labkit/VIRL-v0``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.envs.gym_base import DialogueEnv
from labkit.envs.virl import sources
from labkit.envs.virl.game import recipe_of
from labkit.envs.virl.records import Route
from labkit.episode import Episode, Task


class VIRLEnv(DialogueEnv):
    """V-IRL navigation with sequential revision, as an environment whose actions are texts.

    ## Description
    The player walks to a destination by a numbered instruction, one action at a time. At turning points the
    right action is a turn, between them ``forward()``, at the end ``stop()``. A verifier judges each answer;
    after a wrong one it says what was wrong, and the player may answer again. What ``turn_direction`` takes
    is a rule, told in the prompt: compass words (``absolute``) or ``left``, ``right``, ``slightly left`` and
    ``slightly right`` (``relative``).

    ## Action Space
    Any text: the whole answer, as a model writes it. An answer of more than 65,536 bytes is judged
    unreadable.

    ## Observation Space
    ``modality="text"``: the dialogue of the present position, each turn as ``user: ...`` or ``assistant:
    ...``, turns parted by an empty line. ``modality="picture"``: a ``Dict`` of ``prompt`` (the same, without
    the landmarks seen now) and ``image`` (the views to the front, right, back and left, ``uint8 [H, W, 3]``).
    A turn is shown up to its 65,536th character.

    ## Starting State
    The start of a route. Routes come from a suite (``id``: compass words; ``rule-ood``: the same routes,
    relative words; ``visual-ood``, pictures only: compass words in nine other cities) and a split of it.
    ``reset(seed=s)`` deals the first route of seed ``s``, each later ``reset()`` the next one. ``options``
    name a ``route``, ``actions``, ``suite``, ``split``, ``walk`` or ``data`` for one episode.

    ## Rewards
    By verdict: unreadable -1, correct +1, wrong_observation -1.5 (the action is wrong, and what is said to be
    seen is not what is there), wrong_action -1. The last of the attempts at a position, if wrong, costs 1 more.

    ## Episode End
    Terminated at the destination, and after the last attempt at a position: attempts are part of the game.
    With ``walk="free"`` wrong actions are executed; then the episode ends with ``stop()`` (a success within
    25 m of the destination), or when too many actions were taken. Never truncated.

    ## Information
    ``messages``: the dialogue as chat turns (``role``, ``content``). ``record``: the episode as plain data
    (``labkit.episode.Episode.from_dict`` reads it). After a step also ``category``, ``success``,
    ``feedback``, ``evidence`` and ``tags`` of the verdict.

    ## Arguments
    ``modality``: ``"text"`` or ``"picture"``. ``suite``, ``split``: where routes come from. ``actions``: an
    action rule other than the suite's. ``walk``: ``"rail"`` or ``"free"``. ``data``: a folder in the authors'
    layout to take routes from. ``attempts``: answers that a position allows. ``reward``, ``prompts``,
    ``picture``: entries to replace in the reward table, the prompt templates and the drawing. ``render_mode``:
    ``"ansi"`` (the dialogue) or ``"rgb_array"`` (the four views, in either modality).

    ## References
    "SFT Memorizes, RL Generalizes", arXiv 2501.17161, sections 3 and 4.2, appendix B.

    ## Version History
    v0: first version.
    """

    cells = {"text": "virl-l", "picture": "virl-vl"}
    named = "route"

    def __init__(
        self,
        modality: str = "text",
        *,
        suite: str = "id",
        split: str = "all",
        actions: str | None = None,
        walk: str = "rail",
        data: str | None = None,
        attempts: int = 2,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        settings = {"attempts": attempts, "reward": reward, "prompts": prompts, "picture": picture}
        dealt = {"suite": suite, "split": split, "actions": actions, "walk": walk, "data": data}
        super().__init__(modality, dealt, settings, render_mode)

    def _named(self, options: dict[str, Any]) -> Task:
        route: Route | Mapping[str, Any] = options["route"]
        rule = {"actions": options["actions"] or "absolute", "walk": options["walk"], "data": options["data"]}
        return self._game.task(route=route, **rule, **self._settings)

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        return recipe_of(episode.task, episode.position.state, sources.check_picture(self._settings["picture"]))
