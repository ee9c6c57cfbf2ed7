"""Gymnasium environments: dialogues whose actions are texts.

``import labkit.envs.gym`` registers ``labkit/GeneralPoints-v0`` and ``labkit/VIRL-v0``, and each of their cells by its
own name, such as ``labkit/gp-l-v0``. Without an import of one's own::

    gymnasium.make("labkit.envs.gym:labkit/gp-l-v0")

:class:`DialogueEnv` is the environment of any other cell. All of them are ``reset`` and ``step`` around
:func:`labkit.envs.start` and :func:`labkit.envs.judge`, and can be deep-copied and pickled at any point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from labkit.envs import game, judge, prompt, start
from labkit.envs.general_points.cards import Rule, parse_ranks
from labkit.envs.reading import LIMIT
from labkit.envs.text_space import AnyText
from labkit.envs.virl import sources
from labkit.envs.virl.game import recipe_of
from labkit.envs.virl.records import Route
from labkit.episode import Episode, Task
from labkit.errors import UsageError


class DialogueEnv(gymnasium.Env[Any, str]):
    """A cell as an environment whose actions are texts.

    Args:
        cell: any cell of :func:`labkit.envs.cells`.
        dealt: what tasks are dealt from, each of which an option of ``reset`` can replace for one episode:
            ``suite``, ``split`` and settings of the game's tasks.
        settings: further settings of the game's tasks.
        render_mode: ``ansi`` or ``rgb_array``.

    Raises:
        UsageError: a setting is invalid.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}
    named: ClassVar[str | None] = None
    """The option of ``reset`` that names a task, rather than where one is dealt from."""

    def __init__(
        self,
        cell: str,
        dealt: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"no render mode {render_mode!r}; use {' or '.join(self.metadata['render_modes'])}")
        self.render_mode = render_mode
        self._game = game(cell)
        self._dealt, self._settings = dict(dealt), dict(settings or {})
        # Numbers of deals, not open streams: a generator can be neither copied nor pickled.
        self._next: Counter[str] = Counter()
        self._episode: Episode | None = None
        # Invalid settings fail here rather than at reset.
        first = next(self._game.tasks(**self._dealt, **self._settings))
        self.action_space = AnyText(LIMIT)
        turns = 2 * first.attempts + 1
        dialogue = AnyText(turns * (LIMIT + len("assistant: \n\n")))
        self.observation_space: spaces.Space[Any] = dialogue
        if self._game.pictured:
            image = spaces.Box(0, 255, self._image(start(first)).shape, np.uint8)
            self.observation_space = spaces.Dict({"prompt": dialogue, "image": image})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Deal a task; see Starting State.

        Raises:
            UsageError: an option does not exist or is invalid.
        """
        super().reset(seed=seed)
        self._episode = start(self._task(dict(options or {}), fresh=seed is not None))
        return self._observation(self._episode), self._info(self._episode)

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Judge an answer.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``, or after the end of an episode.
        """
        if self._episode is None or self._episode.done:
            raise gymnasium.error.ResetNeeded("call reset() before step(): no episode is open")
        episode = self._episode = judge(self._episode, action)
        return (
            self._observation(episode),
            episode.attempts[-1].reward,
            episode.done,
            False,
            self._info(episode),
        )

    def render(self) -> str | np.ndarray | None:
        """The dialogue (``ansi``) or the picture (``rgb_array``)."""
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("call reset() before render(): no task is dealt")
        if self.render_mode == "ansi":
            return _dialogue(self._episode)
        return self._image(self._episode) if self.render_mode == "rgb_array" else None

    def _named(self, options: dict[str, Any]) -> Task:
        """The task that options name; for environments with :attr:`named`."""
        raise NotImplementedError

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        """What a text cell would show in a picture; for games that can draw."""
        raise UsageError(f"{self._game.cell} has no pictures; use render mode ansi")

    def _task(self, options: dict[str, Any], fresh: bool) -> Task:
        known = (*filter(None, [self.named]), *self._dealt)
        for name in options:
            if name not in known:
                raise UsageError(f"no reset option {name!r}; the options are {', '.join(known)}")
        if self.named and options.get(self.named) is not None:
            if "suite" in options or "split" in options:
                raise UsageError(f"{self.named} is given, so no suite or split deals it; leave one of the two out")
            return self._named({**self._dealt, **options})
        if self.named:
            options.pop(self.named, None)
        if fresh:
            self._next.clear()
        wanted = {**self._dealt, **options, "seed": self.np_random_seed}
        number = self._next[repr(wanted)]
        self._next[repr(wanted)] += 1
        return next(self._game.tasks(**wanted, first=number, **self._settings))

    def _observation(self, episode: Episode) -> Any:
        text = _dialogue(episode)
        if episode.position.picture is None:
            return text
        return {"prompt": text, "image": self._image(episode)}

    def _image(self, episode: Episode) -> np.ndarray:
        here = episode.position.picture
        return np.array(self._game.draw(here["recipe"] if here else self._recipe(episode)))

    def _info(self, episode: Episode) -> dict[str, Any]:
        info: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.text} for m in prompt(episode)],
            "record": episode.to_dict(),
        }
        if episode.attempts:
            last = episode.attempts[-1]
            info |= {
                "category": last.verdict.category,
                "success": last.verdict.success,
                "feedback": last.verdict.feedback,
                "evidence": dict(last.verdict.evidence),
                "tags": list(last.tags),
            }
        return info


class PaperEnv(DialogueEnv):
    """A game of the paper, in text or in pictures; its class describes the arguments."""

    cells: ClassVar[Mapping[str, str]]
    """The game's cell by modality."""

    def __init__(
        self,
        modality: str,
        dealt: Mapping[str, Any],
        *,
        attempts: int,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if modality not in self.cells:
            raise UsageError(f"no modality {modality!r}; use {' or '.join(self.cells)}")
        settings = {"attempts": attempts, "reward": reward, "prompts": prompts, "picture": picture}
        super().__init__(self.cells[modality], dealt, settings, render_mode)


class GeneralPointsEnv(PaperEnv):
    """GeneralPoints with sequential revision, as an environment whose actions are texts.

    ## Description
    Four cards are dealt. The player writes a formula that makes the target (24) out of their numbers, each
    once. A verifier judges the answer; after a wrong one it says what was wrong, and the player may answer
    again. What J, Q and K count as is a rule of the deal, stated in the prompt: 10 each (``ten``), or 11, 12
    and 13 (``eleven-twelve-thirteen``), or any other numbers.

    ## Action Space
    Any text: the whole answer, as a model writes it. An answer of more than 65,536 bytes is judged
    unreadable.

    ## Observation Space
    ``modality="text"``: the dialogue so far, each turn as ``user: ...`` or ``assistant: ...``, turns parted
    by an empty line. ``modality="picture"``: a ``Dict`` of ``prompt`` (the same, without the cards) and
    ``image`` (the cards on the table, ``uint8 [H, W, 3]``). A turn is shown up to its 65,536th character.

    ## Starting State
    The prompt of a deal. Deals come from a suite (``id``: any hand that reaches the target; ``rule-ood``:
    hands with a J, Q or K under 11, 12, 13; ``visual-ood``, pictures only: red suits) and a split of it.
    ``reset(seed=s)`` deals the first hand of seed ``s``, each later ``reset()`` the next one. ``options``
    name other ``cards`` (``"3 3 8 8"``), ``faces``, ``target``, ``suite`` or ``split`` for one episode.

    ## Rewards
    By verdict, the first check that fails: unreadable -3, wrong_cards (pictures only) -1.5, illegal_formula
    -3, wrong_numbers -2, wrong_value -1, correct +5. The last of the attempts, if wrong, costs 1 more.

    ## Episode End
    Terminated after a right answer, and after the last attempt: attempts are part of the game. Never
    truncated.

    ## Information
    ``messages``: the dialogue as chat turns (``role``, ``content``). ``record``: the episode as plain data
    (``labkit.episode.Episode.from_dict`` reads it). After a step also ``category``, ``success``,
    ``feedback``, ``evidence`` and ``tags`` of the verdict.

    ## Arguments
    ``modality``: ``"text"`` or ``"picture"``. ``suite``, ``split``: where deals come from. ``faces``: a face
    rule other than the suite's. ``target``: the number to make. ``attempts``: answers an episode allows.
    ``reward``, ``prompts``, ``picture``: entries to replace in the reward table, the prompt templates and the
    drawing. ``render_mode``: ``"ansi"`` (the dialogue) or ``"rgb_array"`` (the cards on the table, in either
    modality).

    ## References
    "SFT Memorizes, RL Generalizes", arXiv 2501.17161, sections 3 and 4.1, appendix A.

    ## Version History
    v0: first version.
    """

    named = "cards"
    cells = {"text": "gp-l", "picture": "gp-vl"}

    def __init__(
        self,
        modality: str = "text",
        *,
        suite: str = "id",
        split: str = "all",
        faces: Rule | None = None,
        target: int = 24,
        attempts: int = 5,
        **more: Any,
    ) -> None:
        dealt = {"suite": suite, "split": split, "faces": faces, "target": target}
        super().__init__(modality, dealt, attempts=attempts, **more)

    def _named(self, options: dict[str, Any]) -> Task:
        ranks = parse_ranks(options["cards"])
        rule = {"faces": options["faces"] or "ten", "target": options["target"]}
        return self._game.task(hand=ranks, **rule, **self._settings)

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        return {"cards": episode.task.deal["cards"]}


class VIRLEnv(PaperEnv):
    """V-IRL navigation with sequential revision, as an environment whose actions are texts.

    ## Description
    The player walks to a destination by a numbered instruction, one action at a time. At turning points the
    right action is a turn, between them ``forward()``, at the end ``stop()``. A verifier judges each answer;
    after a wrong one it says what was wrong, and the player may answer again. What ``turn_direction`` takes
    is a rule, stated in the prompt: compass words (``absolute``) or ``left``, ``right``, ``slightly left`` and
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

    named = "route"
    cells = {"text": "virl-l", "picture": "virl-vl"}

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
        **more: Any,
    ) -> None:
        dealt = {"suite": suite, "split": split, "actions": actions, "walk": walk, "data": data}
        super().__init__(modality, dealt, attempts=attempts, **more)

    def _named(self, options: dict[str, Any]) -> Task:
        route: Route | Mapping[str, Any] = options["route"]
        rule = {"actions": options["actions"] or "absolute", "walk": options["walk"], "data": options["data"]}
        return self._game.task(route=route, **rule, **self._settings)

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        return recipe_of(episode.task, episode.position.state, sources.check_picture(self._settings["picture"]))


def _dialogue(episode: Episode) -> str:
    return "\n\n".join(f"{m.role}: {m.text[:LIMIT]}" for m in prompt(episode))


_NAMED: dict[str, type[PaperEnv]] = {"GeneralPoints": GeneralPointsEnv, "VIRL": VIRLEnv}

for _id, _env in _NAMED.items():
    _entry = f"{__name__}:{_env.__name__}"
    gymnasium.register(f"labkit/{_id}-v0", entry_point=_entry)
    for _modality, _cell in _env.cells.items():
        gymnasium.register(f"labkit/{_cell}-v0", entry_point=_entry, kwargs={"modality": _modality})
