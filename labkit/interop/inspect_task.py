"""A cell as a task of inspect_ai: any model that it knows, in several turns, scored by the verifier.

::

    inspect eval labkit/dialogues -T cell=gp-l -T suite=rule-ood --model openai/gpt-5 --limit 50
    inspect eval labkit/dialogues -T cell=virl-l --model mockllm/model

Feedback is sent as user's turns until the episode is over. A position of a route is a dialogue of its own, as in
labkit: the messages of a sample are those of its last position, and its transcript has all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from inspect_ai import Task as InspectTask
from inspect_ai import task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import Score, Scorer, Target, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from labkit.envs import game, judge, prompt, start
from labkit.episode import Episode, Message, Task
from labkit.evaluation.metrics import success_within
from labkit.interop import pictures
from labkit.interop.tables import carried

EPISODE = "labkit:episode"
"""Where a sample's store has the record of its episode, as JSON."""


@task
def dialogues(
    cell: str = "gp-l",
    suite: str = "id",
    split: str = "test",
    episodes: int = 100,
    seed: int = 0,
    attempts: int | None = None,
) -> InspectTask:
    """Deals of a cell.

    Args:
        attempts: answers allowed at a position; the game's own number if not given.

    Raises:
        UsageError: there is no such cell, suite or split, or the number of attempts cannot be.
    """
    settings = {} if attempts is None else {"attempts": attempts}
    tasks = game(cell).tasks(suite, split, seed=seed, **settings)
    return InspectTask(
        name=f"labkit_{cell}_{suite}",
        dataset=[sample_of(each) for each in islice(tasks, episodes)],
        solver=sequential_revision(),
        scorer=verdict(),
        metadata={"cell": cell, "suite": suite, "split": split, "seed": seed},
    )


def sample_of(dealt: Task) -> Sample:
    """A deal as a sample; the target is the expert's first answer."""
    episode = start(dealt)
    return Sample(
        input=messages(dealt.cell, prompt(episode)),
        target=game(dealt.cell).expert(episode),
        id=dealt.id,
        metadata={"task": asdict(dealt)},
    )


def messages(cell: str, turns: Sequence[Message]) -> list[ChatMessage]:
    """Turns of a dialogue as inspect_ai's messages, pictures first."""
    return [_message(cell, turn) for turn in turns]


def _message(cell: str, turn: Message) -> ChatMessage:
    said = carried(turn.text)
    if turn.role == "assistant":
        return ChatMessageAssistant(content=said)
    if turn.picture is None:
        return ChatMessageUser(content=said)
    picture = ContentImage(image=pictures.address(cell, turn.picture))
    return ChatMessageUser(content=[picture, ContentText(text=said)])


@solver
def sequential_revision() -> Solver:
    """Answers, feedback and further answers until the episode is over (paper, section 3)."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = start(Task.from_dict(state.metadata["task"]), player=str(state.model))
        while not episode.done:
            state.messages = messages(episode.task.cell, prompt(episode))
            state = await generate(state)
            episode = judge(episode, state.output.completion)
            state.store.set(EPISODE, episode.to_json())
        return state

    return solve


@scorer(
    metrics={
        "success": [accuracy(), stderr()],
        "first_attempt": [accuracy(), stderr()],
        "reward": [mean(), stderr()],
    }
)
def verdict() -> Scorer:
    """What the verifier says of the episode."""

    async def score(state: TaskState, target: Target) -> Score:
        return score_of(Episode.from_json(state.store.get(EPISODE)))

    return score


def score_of(episode: Episode) -> Score:
    """Success, success without a wrong answer, and the sum of rewards; the verdicts stand in the explanation."""
    attempts = episode.attempts
    values: dict[str, Any] = {
        "success": float(episode.success),
        "first_attempt": float(success_within(episode, 1)),
        "reward": float(episode.reward),
    }
    lines = (f"{number}. {a.verdict.category}: {a.verdict.feedback}" for number, a in enumerate(attempts, 1))
    return Score(
        value=values,
        answer=carried(attempts[-1].answer) if attempts else "",
        explanation=carried("\n".join(lines)),
        metadata={"status": episode.status, "tags": sorted({tag for a in attempts for tag in a.tags})},
    )
