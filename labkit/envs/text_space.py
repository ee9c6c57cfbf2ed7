"""The space of texts of any characters, for Gymnasium environments."""

from __future__ import annotations

import string
from typing import Any, NoReturn

from gymnasium import spaces
from gymnasium.error import CustomSpaceError
from gymnasium.vector.utils import create_shared_memory


class AnyText(spaces.Text):
    """Text of at most ``max_length`` characters of any kind; samples are printable ASCII."""

    def __init__(self, max_length: int, *, seed: int | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable, seed=seed)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"


@create_shared_memory.register(AnyText)
def _refuse(space: AnyText, n: int = 1, ctx: Any = None) -> NoReturn:
    """Refuse shared memory: in Gymnasium 1.4 texts in it have no characters but those of the space's alphabet, and an
    `AsyncVectorEnv` returns those that were there before the first step.

    Raises:
        CustomSpaceError: always.
    """
    raise CustomSpaceError("texts are not shared between processes; make the vector with shared_memory=False")
