"""A text cell as an environment of the package verifiers (0.4), with its taskset and a harness of one call a turn.

::

    vf-eval labkit-verifiers --env.taskset.cell gp-l --env.taskset.suite rule-ood -n 20 \\
        --model MODEL --client.base-url http://127.0.0.1:8000/v1 --no-push

The package finds environments by the name of a module on Python's path, so the name is that of ``labkit_verifiers``.
The verifier's feedback is the user's turn. Each position of a route is an interaction of its own, as a dialogue is in
labkit, and its reward is the sum of its attempts' rewards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import httpx
import verifiers.v1 as vf

from labkit.envs import game, judge, start
from labkit.envs.games import cells
from labkit.episode import Episode, Task
from labkit.errors import UsageError


class DialogueConfig(vf.TasksetConfig):
    """What is dealt."""

    cell: str = "gp-l"
    suite: str = "id"
    split: str = "test"
    episodes: int = 100
    seed: int = 0
    attempts: int | None = None
    """Answers allowed at a position; the game's own number if not given."""


class DialogueData(vf.TaskData):
    """A deal."""

    deal: dict[str, Any]
    """The task, as plain data."""
    expert: str
    """A right answer to the first prompt."""


class DialogueTask(vf.Task[DialogueData, vf.State, vf.TaskConfig]):
    """A deal with its first prompt; rewards are recorded by the environment."""


class Dialogues(vf.Taskset[DialogueTask, DialogueConfig]):
    """The deals of a suite."""

    def load(self) -> Iterator[DialogueTask]:
        """Deal.

        Raises:
            UsageError: the cell shows pictures, or there is no such cell, suite or split.
        """
        config = self.config
        playing = game(config.cell)
        if playing.pictured:
            texts = ", ".join(cell for cell in cells() if not game(cell).pictured)
            raise UsageError(f"prompts are text here, and {config.cell} shows pictures; use {texts}")
        settings = {} if config.attempts is None else {"attempts": config.attempts}
        for task in islice(playing.tasks(config.suite, config.split, seed=config.seed, **settings), config.episodes):
            episode = start(task)
            yield DialogueTask(
                DialogueData(
                    id=task.id,
                    name=task.id,
                    prompt=episode.position.prompt,
                    deal=asdict(task),
                    expert=playing.expert(episode),
                ),
                config.task,
            )


class ChatConfig(vf.HarnessConfig):
    """Of :class:`Chat`, which has no settings of its own."""


class Chat(vf.Harness[ChatConfig]):
    """Sends the dialogue and takes one answer, without a program, tools or a sandbox."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Ask for one answer to the dialogue so far; the package's own server records it."""
        from verifiers.v1.dialects.chat import message_to_wire

        system, asked = self.resolve_prompt(data)
        said = [vf.UserMessage(content=asked)] if isinstance(asked, str) else list(asked or [])
        chat = [{"role": "system", "content": system}] if system else []
        chat += [message_to_wire(message) for message in said]
        async with httpx.AsyncClient(timeout=None) as client:
            reply = await client.post(
                f"{endpoint}/chat/completions",
                json={"model": ctx.model, "messages": chat},
                headers={"Authorization": f"Bearer {secret}"},
            )
        return vf.ProgramResult(exit_code=0 if reply.is_success else 1, stdout="", stderr=reply.text[-500:])


class DialoguesConfig(vf.EnvConfig):
    """Who plays."""

    player: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class DialoguesEnv(vf.Env[DialoguesConfig]):
    """Sequential revision: an answer, feedback, another answer, until the episode is over (paper, section 3)."""

    async def run(self, task: DialogueTask, agents: vf.Agents) -> None:
        """Play a deal."""
        episode, going = start(Task.from_dict(task.data.deal)), True
        while going and not episode.done:
            at = len(episode.positions)
            here = task.with_data(prompt=episode.position.prompt)
            async with agents.player.interaction(here) as interaction:
                segment = await interaction.turn()
                while going := not segment.terminated:
                    episode = judge(episode, segment.last_reply)
                    if episode.done or len(episode.positions) > at:
                        break
                    segment = await interaction.turn(episode.position.attempts[-1].verdict.feedback)
            _record(interaction.trace, episode, at - 1)


def _record(trace: vf.Trace, episode: Episode, at: int) -> None:
    """What came of a position, beside its dialogue."""
    attempts = episode.positions[at].attempts
    trace.record_reward("reward", float(sum(attempt.reward for attempt in attempts)), 1.0)
    trace.record_metric("success", float(bool(attempts) and attempts[-1].verdict.success))
    trace.record_metric("attempts", float(len(attempts)))
    trace.info["categories"] = [attempt.verdict.category for attempt in attempts]
    trace.info["status"] = episode.status
