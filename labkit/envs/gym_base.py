"""What the Gymnasium environments share: ``reset`` and ``step`` around the same pure core as everything else."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from labkit.envs import game, judge, prompt, start
from labkit.envs.reading import LIMIT
from labkit.episode import Episode, Task
from labkit.errors import UsageError


class AnyText(spaces.Text):
    """Text of at most ``max_length`` characters of any kind; samples are printable ASCII."""

    def __init__(self, max_length: int, *, seed: int | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable, seed=seed)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"


class DialogueEnv(gymnasium.Env[Any, str]):
    """A cell as an environment whose actions are texts. A subclass says which cell, and how options name a task.

    Args:
        modality: a key of :attr:`cells`.
        dealt: what tasks are dealt from, each of which an option of ``reset`` can replace for one episode.
        settings: what else tasks take.
        render_mode: ``ansi`` or ``rgb_array``.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}
    cells: ClassVar[Mapping[str, str]]
    """The cell of each modality."""
    named: ClassVar[str]
    """The option of ``reset`` that names a task, rather than where one is dealt from."""

    def __init__(self, modality: str, dealt: dict[str, Any], settings: dict[str, Any], render_mode: str | None) -> None:
        if modality not in self.cells:
            raise UsageError(f"no modality {modality!r}; use {' or '.join(self.cells)}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"no render mode {render_mode!r}; use {' or '.join(self.metadata['render_modes'])}")
        self.render_mode = render_mode
        self._game = game(self.cells[modality])
        self._dealt, self._settings = dealt, settings
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

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Deal a task; see Starting State.

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
        """The dialogue (``ansi``) or the picture (``rgb_array``)."""
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("call reset() before render(): no task is dealt")
        if self.render_mode == "ansi":
            return _dialogue(self._episode)
        return self._image(self._episode) if self.render_mode == "rgb_array" else None

    def _named(self, options: dict[str, Any]) -> Task:
        """The task that options name."""
        raise NotImplementedError

    def _recipe(self, episode: Episode) -> Mapping[str, Any]:
        """What a text cell would show in a picture."""
        raise NotImplementedError

    def _task(self, options: dict[str, Any], fresh: bool) -> Task:
        known = (self.named, *self._dealt)
        for name in options:
            if name not in known:
                raise UsageError(f"no reset option {name!r}; the options are {', '.join(known)}")
        if options.get(self.named) is not None:
            if "suite" in options or "split" in options:
                raise UsageError(f"{self.named} is given, so no suite or split deals it; leave one of the two out")
            return self._named({**self._dealt, **options})
        options.pop(self.named, None)
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


def _dialogue(episode: Episode) -> str:
    return "\n\n".join(f"{m.role}: {m.text[:LIMIT]}" for m in prompt(episode))
