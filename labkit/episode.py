"""The one record that passes between playing, training, evaluating, storing and showing.

``Episode > Position > Attempt > Verdict``: frozen, plain data, to JSON and back. Token ids, log-probabilities
and values of single tokens are not in it. Where they were asked for, they lie in side files, by attempt: see
:mod:`labkit.runs.tokens`. A picture is a recipe (from which the same pixels are drawn again) and a hash.

Names follow "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), sections 3 and 4: an episode is one task under
sequential revision; every wrong attempt stays in the dialogue together with what the verifier said about it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

SCHEMA = 1
"""Version of the stored form. A reader refuses a newer one rather than guess."""


class Message(NamedTuple):
    """One chat turn as a player is sent it."""

    role: str
    """``"user"`` or ``"assistant"``."""
    text: str
    picture: Mapping[str, Any] | None = None
    """Recipe of the picture shown before the text, if any."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier says of one answer."""

    category: str
    """The first check that failed, or ``"correct"``."""
    success: bool
    reward: float
    feedback: str
    """The sentence that goes back into the dialogue, word for word."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the judgement rests on, in the environment's own plain terms."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How a model produced an answer: sums and counts, never tensors."""

    tokens: int
    """Sampled tokens, the end token included."""
    prompt_tokens: int
    """Length of the dialogue in front of them."""
    seconds: float
    """Wall-clock of the generation, shared equally by the answers of one batch."""
    temperature: float
    logp: float | None
    """Sum of the sampled tokens' log-probabilities (nats), at the temperature that was sampled; None of a server's
    answer, which has none."""
    truncated: bool = False
    """The token limit came before the end token."""
    decisive_logp: float | None = None
    """The part of ``logp`` that lies in the decisive field (``formula``, ``action``), found by character offset."""
    decisive_tokens: int = 0
    value: float | None = None
    """The critic's estimate at the last prompt token, where there is a critic."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer and all that was found in it."""

    answer: str
    """Exactly what the player wrote."""
    verdict: Verdict
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The fields as read, before judging; empty when nothing could be read."""
    other_rule: Verdict | None = None
    """The same answer judged under the other rule; None where the two rules say the same."""
    tags: tuple[str, ...] = ()
    """Failure tags, deterministic, in a fixed order."""
    penalty: float = 0.0
    """Extra reward of the last attempt of an episode that ends without success (``exhausted``)."""
    sample: Sample | None = None

    @property
    def reward(self) -> float:
        """The verdict's reward plus the penalty."""
        return self.verdict.reward + self.penalty


@dataclass(frozen=True, slots=True)
class Position:
    """One decision point: GeneralPoints has one, V-IRL one per step. A dialogue never outlives its position."""

    state: Mapping[str, Any]
    """The truth here, in the environment's terms: what the verifier judges against, the rule included."""
    prompt: str
    """The first user message, word for word."""
    picture: Mapping[str, Any] | None = None
    """``{"recipe": ..., "hash": ...}`` of the picture that goes with the prompt."""
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What was dealt, so that it can be dealt again."""

    cell: str
    """``gp-l``, ``gp-vl``, ``virl-l`` or ``virl-vl``."""
    deal: Mapping[str, Any]
    """The environment's own data: cards and suits, or a route."""
    rule: Mapping[str, Any]
    attempts: int
    """Attempts per position."""
    reward: Mapping[str, Any]
    """Reward of each category, of ``exhausted``, and how several failures combine."""
    prompts: Mapping[str, Any] | None = None
    """Prompt templates other than the built-in ones."""
    picture: Mapping[str, Any] | None = None
    """Drawing knobs of an image cell."""
    suite: str = "custom"
    split: str = "all"
    seed: int = 0
    index: int = 0
    """Number of the deal within (suite, split, seed)."""

    @property
    def id(self) -> str:
        """Readable name, the same for the same deal under the same rule: ``gp-l/id/dev/s0/17-2fd4e1c6``."""
        asked = json.dumps([self.deal, self.rule], sort_keys=True).encode()
        place = f"{self.cell}/{self.suite}/{self.split}/s{self.seed}/{self.index}"
        return f"{place}-{hashlib.sha256(asked).hexdigest()[:8]}"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Task:
        """Read the task of a stored record.

        Raises:
            ValueError: it is not a task.
        """
        try:
            return _plain(cls, data)
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not a task: {error}") from None


@dataclass(frozen=True, slots=True)
class Episode:
    """A task and the whole exchange about it."""

    task: Task
    positions: tuple[Position, ...]
    status: str = "open"
    """``open``, ``success``, ``exhausted`` (attempts used up) or ``failed`` (the player ended it too early): all but
    ``open`` are terminated, nothing bootstraps past them."""
    player: str = ""

    @property
    def done(self) -> bool:
        return self.status != "open"

    @property
    def success(self) -> bool:
        return self.status == "success"

    @property
    def position(self) -> Position:
        """The position being played, or the last one."""
        return self.positions[-1]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts, over all positions, in order."""
        return tuple(a for p in self.positions for a in p.attempts)

    @property
    def reward(self) -> float:
        """Undiscounted return."""
        return sum(a.reward for a in self.attempts)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    def to_json(self) -> str:
        """One line of JSON.

        Raises:
            ValueError: a number is infinite or not a number, which JSON cannot hold.
        """
        line = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # A lone surrogate, which UTF-8 cannot carry, becomes the escape that JSON reads back as it.
        return line.encode("utf-8", "backslashreplace").decode()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Episode:
        """Read what :meth:`to_dict` wrote.

        Raises:
            ValueError: the record is of a newer schema, or not an episode.
        """
        try:
            if data.get("schema", 0) > SCHEMA:
                raise ValueError(f"episode schema {data['schema']} is newer than {SCHEMA}; update labkit to read it")
            positions = tuple(
                _plain(Position, p, attempts=tuple(_attempt(a) for a in p["attempts"])) for p in data["positions"]
            )
            return _plain(cls, data, task=Task.from_dict(data["task"]), positions=positions)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not an episode record: {error}") from None

    @classmethod
    def from_json(cls, line: str) -> Episode:
        return cls.from_dict(json.loads(line))


def _plain(cls: type, data: Mapping[str, Any], **rest: Any) -> Any:
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in data.items() if k in known} | rest)


def _attempt(data: Mapping[str, Any]) -> Attempt:
    other, sample = data.get("other_rule"), data.get("sample")
    return _plain(
        Attempt,
        data,
        verdict=_plain(Verdict, data["verdict"]),
        other_rule=_plain(Verdict, other) if other else None,
        sample=_plain(Sample, sample) if sample else None,
        tags=tuple(data.get("tags", ())),
    )
