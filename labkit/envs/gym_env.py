"""The cells as Gymnasium environments: ``reset`` and ``step`` around the same pure core as everything else.

Importing this module registers ``labkit/GeneralPoints-v0``. Without an import of one's own::

    gymnasium.make("labkit.envs.gym_env:labkit/GeneralPoints-v0", modality="text")
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from labkit.envs import game, judge, prompt, start
from labkit.envs.general_points.cards import Rule, parse_ranks
from labkit.envs.reading import LIMIT
from labkit.episode import Episode, Task
from labkit.errors import UsageError

CELL = {"text": "gp-l", "picture": "gp-vl"}
"""The cell of each modality."""
OPTIONS = ("cards", "faces", "target", "suite", "split")
"""What ``reset(options=...)`` takes."""


class AnyText(spaces.Text):
    """Text of at most ``max_length`` characters of any kind; samples are printable ASCII."""

    def __init__(self, max_length: int, *, seed: int | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable, seed=seed)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"


class GeneralPointsEnv(gymnasium.Env[Any, str]):
    """GeneralPoints with sequential revision, as an environment whose actions are texts.

    ## Description
    Four cards are dealt. The player writes a formula that makes the target (24) out of their numbers, each
    once. A verifier judges the answer; after a wrong one it says what was wrong, and the player may answer
    again. What J, Q and K count as is a rule of the deal, told in the prompt: 10 each (``ten``), or 11, 12
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

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}

    def __init__(
        self,
        modality: str = "text",
        *,
        suite: str = "id",
        split: str = "all",
        faces: Rule | None = None,
        target: int = 24,
        attempts: int = 5,
        reward: Mapping[str, Any] | None = None,
        prompts: Mapping[str, str] | None = None,
        picture: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if modality not in CELL:
            raise UsageError(f"no modality {modality!r}; use {' or '.join(CELL)}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(
                f"no render mode {render_mode!r}; use {' or '.join(self.metadata['render_modes'])}"
            )
        self.render_mode = render_mode
        self._game = game(CELL[modality])
        self._settings = {"attempts": attempts, "reward": reward, "prompts": prompts, "picture": picture}
        self._dealt = {"suite": suite, "split": split, "faces": faces, "target": target}
        self._streams: dict[str, Iterator[Task]] = {}
        self._episode: Episode | None = None
        # Fails here, rather than at reset, for settings that cannot be.
        first = next(self._game.tasks(**self._dealt, **self._settings))
        self.action_space = AnyText(LIMIT)
        turns = 2 * first.attempts + 1
        dialogue = AnyText(turns * (LIMIT + len("assistant: \n\n")))
        self.observation_space: spaces.Space[Any] = dialogue
        if modality == "picture":
            image = spaces.Box(0, 255, self._image(start(first)).shape, np.uint8)
            self.observation_space = spaces.Dict({"prompt": dialogue, "image": image})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Deal a hand; see Starting State.

        Raises:
            UsageError: an option that does not exist or cannot be.
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
        """The dialogue (``ansi``) or the cards on the table (``rgb_array``)."""
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("call reset() before render(): no cards are dealt")
        if self.render_mode == "ansi":
            return _dialogue(self._episode)
        return self._image(self._episode) if self.render_mode == "rgb_array" else None

    def _task(self, options: dict[str, Any], fresh: bool) -> Task:
        for name in options:
            if name not in OPTIONS:
                raise UsageError(f"no reset option {name!r}; the options are {', '.join(OPTIONS)}")
        hand = options.pop("cards", None)
        if hand is not None:
            if "suite" in options or "split" in options:
                raise UsageError("cards are given, so no suite or split deals them; leave one of the two out")
            faces = options.get("faces", self._dealt["faces"]) or "ten"
            ranks = parse_ranks(hand if isinstance(hand, str) else " ".join(hand))
            target = options.get("target", self._dealt["target"])
            return self._game.task(hand=ranks, faces=faces, target=target, **self._settings)
        if fresh:
            self._streams.clear()
        wanted = {**self._dealt, **options, "seed": self.np_random_seed}
        if repr(wanted) not in self._streams:
            self._streams[repr(wanted)] = self._game.tasks(**wanted, **self._settings)
        return next(self._streams[repr(wanted)])

    def _observation(self, episode: Episode) -> Any:
        text = _dialogue(episode)
        if episode.position.picture is None:
            return text
        return {"prompt": text, "image": self._image(episode)}

    def _image(self, episode: Episode) -> np.ndarray:
        here = episode.position.picture
        recipe = here["recipe"] if here else {"cards": episode.task.deal["cards"]}
        return np.array(self._game.draw(recipe))

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


def _dialogue(episode: Episode) -> str:
    return "\n\n".join(f"{m.role}: {m.text[:LIMIT]}" for m in prompt(episode))


gymnasium.register("labkit/GeneralPoints-v0", entry_point=GeneralPointsEnv)
