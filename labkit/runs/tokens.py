"""Token arrays of stored episodes: ``tokens/NAME-NNNN.safetensors`` in a run's folder.

``--tokens`` writes them, a file for each batch of episodes. A file is written completely or not at all. An array is
called ``EPISODE.ATTEMPT.ARRAY``: the episode's key (:func:`key_of`), the attempt counted over all positions, and the
array's name, such as ``ids`` or ``logp``. The key is made of the deal, the player's name and the answers, so it holds
wherever the episode is stored, compressed or copied.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from labkit.counting import counted
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.store import CannotWrite, Run

Arrays = Mapping[str, np.ndarray]
"""Arrays of one answer by name."""

EPISODES = 64
"""Of a file."""


def key_of(episode: Episode) -> str:
    """16 hexadecimal digits, the same for the same deal, player and answers."""
    answers = [[attempt.answer for attempt in position.attempts] for position in episode.positions]
    return hashlib.sha256(json.dumps([episode.task.id, episode.player, answers]).encode()).hexdigest()[:16]


class TokenWriter:
    """Writes the arrays of episodes, a file for each :data:`EPISODES` of them and one for the rest.

    Args:
        anew: delete the existing files of this name first.
    """

    def __init__(self, run: Run, name: str, *, anew: bool = False) -> None:
        self._folder, self._name = run.path / "tokens", name
        if anew:
            for path in self._stored().values():
                path.unlink()
        self._waiting: dict[str, np.ndarray] = {}
        self._episodes = 0

    def __enter__(self) -> TokenWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was played is kept, unless the disk is what failed.
        if not isinstance(error, CannotWrite):
            self.flush()

    def add(self, episode: Episode, arrays: Sequence[Arrays]) -> None:
        """Add the arrays of an episode's attempts, in order over all positions; an empty mapping if no model answered.

        Raises:
            ValueError: their number is not that of the attempts.
            CannotWrite: the disk is full or the folder is read-only.
        """
        if len(arrays) != len(episode.attempts):
            raise ValueError(f"{counted(len(episode.attempts), 'attempt')}, but arrays for {len(arrays)}")
        key = key_of(episode)
        for number, of_attempt in enumerate(arrays):
            self._waiting |= {f"{key}.{number}.{name}": _narrow(array) for name, array in of_attempt.items()}
        self._episodes += 1
        if self._episodes >= EPISODES:
            self.flush()

    def flush(self) -> None:
        """Write the arrays that were added since the last file."""
        if self._waiting:
            number = max(self._stored(), default=-1) + 1
            path = self._folder / f"{self._name}-{number:04d}.safetensors"
            part = path.with_name(path.name + ".part")
            try:
                self._folder.mkdir(exist_ok=True)
                part.write_bytes(save(self._waiting))
                part.replace(path)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise CannotWrite(path, error) from error
        self._waiting, self._episodes = {}, 0

    def _stored(self) -> dict[int, Path]:
        """The files of this name, by number; not those of a longer name, as ``train-1`` is of ``train``."""
        form = re.compile(rf"{re.escape(self._name)}-(\d{{4,}})\.safetensors")
        found = ((form.fullmatch(path.name), path) for path in self._folder.glob("*.safetensors"))
        return {int(match[1]): path for match, path in found if match}


class TokenReader:
    """Reads the arrays of a run's episodes. Looks for new files when an episode is in none of the known ones."""

    def __init__(self, run: Run) -> None:
        self._folder = run.path / "tokens"
        self._of: dict[str, Path] = {}
        self._seen: set[Path] = set()

    def arrays(self, episode: Episode) -> list[dict[str, np.ndarray]] | None:
        """The arrays of each attempt, in order over all positions; None if none were stored.

        Raises:
            UsageError: a file cannot be read.
        """
        key = key_of(episode)
        if key not in self._of:
            self._look()
        if key not in self._of:
            return None
        found: list[dict[str, np.ndarray]] = [{} for _ in episode.attempts]
        with _opened(self._of[key]) as file:
            for name in list(file.keys()):
                whose, number, array = name.split(".", 2)
                if whose == key:
                    found[int(number)][array] = file.get_tensor(name)
        return found

    def _look(self) -> None:
        for path in sorted(set(self._folder.glob("*.safetensors")) - self._seen):
            with _opened(path) as file:
                keys = list(file.keys())
            self._of |= dict.fromkeys((name.partition(".")[0] for name in keys), path)
            self._seen.add(path)


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, "numpy")
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read {path}: {error}; delete it to read the others") from None


def _narrow(array: np.ndarray) -> np.ndarray:
    """The array with 4 bytes a number: enough for ids, and for what models compute."""
    kind = np.float32 if np.issubdtype(array.dtype, np.floating) else np.int32
    return np.ascontiguousarray(array, kind)
