"""Stored episodes as logs of inspect_ai, which `inspect view` shows and `read_eval_log` reads.

A log is one of its evaluations: a task, a model, and samples with messages, scores and events. Each file of a run's
episodes becomes one. Of a sample, the messages are the whole dialogue, over all positions; its transcript has a model's
call for each answer, with the messages that led to it, and the verdict. The record lies in its store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from inspect_ai.event import Event, InfoEvent, ModelEvent
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput, ModelUsage

from labkit.envs import fork, game, prompt, start
from labkit.episode import Attempt, Episode
from labkit.errors import UsageError
from labkit.interop.inspect_task import EPISODE, messages, score_of
from labkit.interop.tables import carried
from labkit.runs import Run

SCORER = "verdict"


def write(folder: str | Path, run: Run, names: Sequence[str], limit: int | None = None) -> list[Path]:
    """Write a log for each file of a run's episodes into a folder; returns the logs' paths.

    Args:
        limit: the most episodes of each file.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder, written = Path(folder), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            written.append(folder / f"{run.id}-{name}.eval")
            write_eval_log(log_of(run, name, list(islice(run.episodes(name), limit))), written[-1])
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}; name another folder") from None
    return written


def log_of(run: Run, name: str, episodes: Sequence[Episode]) -> EvalLog:
    """The log of some episodes of a run, which were stored under a name."""
    ended = datetime.fromtimestamp(run.status.get("time", 0), UTC)
    seen: Counter[str] = Counter()
    samples = []
    for episode in episodes:
        seen[episode.task.id] += 1
        samples.append(_sample(episode, seen[episode.task.id], ended))
    first = episodes[0].task
    player = episodes[0].player or "nobody"
    usage = sum((usage for sample in samples for usage in sample.model_usage.values()), ModelUsage())
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=f"{run.id}-{name}",
            run_id=run.id,
            task_id=f"{run.id}-{name}",
            created=ended.isoformat(),
            task=f"labkit/{first.cell}/{name}",
            task_args={"cell": first.cell, "suite": first.suite, "split": first.split, "seed": first.seed},
            dataset=EvalDataset(name=f"{first.cell}/{first.suite}", samples=len(seen), sample_ids=list(seen)),
            model=player,
            config=EvalConfig(epochs=max(seen.values())),
            metadata={"labkit_run": run.id, "episodes": name},
        ),
        results=EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=list(_scores(samples))),
        stats=EvalStats(started_at=ended.isoformat(), completed_at=ended.isoformat(), model_usage={player: usage}),
        samples=samples,
    )


def _scores(samples: Sequence[EvalSample]) -> Iterator[EvalScore]:
    """Mean and standard error over samples of each score, as inspect_ai's own metrics are."""
    values: list[Mapping[str, float]] = [sample.scores[SCORER].value for sample in samples]
    for name in values[0]:
        of_samples = [value[name] for value in values]
        error = stdev(of_samples) / sqrt(len(of_samples)) if len(of_samples) > 1 else 0.0
        mean = "mean" if name == "reward" else "accuracy"
        metrics = {mean: fmean(of_samples), "stderr": error}
        yield EvalScore(
            name=name,
            scorer=SCORER,
            scored_samples=len(of_samples),
            metrics={key: EvalMetric(name=key, value=value) for key, value in metrics.items()},
        )


def _sample(episode: Episode, epoch: int, ended: datetime) -> EvalSample:
    cell, player = episode.task.cell, episode.player or "nobody"
    outputs = [_output(attempt, player) for attempt in episode.attempts]
    usage = sum((output.usage for output in outputs if output.usage), ModelUsage())
    seconds = sum(attempt.sample.seconds for attempt in episode.attempts if attempt.sample)
    return EvalSample(
        id=episode.task.id,
        epoch=epoch,
        input=messages(cell, prompt(start(episode.task))),
        target=game(cell).expert(start(episode.task)),
        messages=list(_dialogue(episode)),
        output=outputs[-1] if outputs else ModelOutput(model=player),
        scores={SCORER: score_of(episode)},
        metadata={"task": asdict(episode.task)},
        store={EPISODE: episode.to_json()},
        events=list(_events(episode, outputs, ended - timedelta(seconds=seconds))),
        model_usage={player: usage},
        total_time=seconds,
        turn_count=len(outputs),
    )


def _dialogue(episode: Episode) -> Iterator[ChatMessage]:
    """The turns of all positions, the feedback to the last answer included."""
    for number, position in enumerate(episode.positions):
        open_here = fork(episode, len(position.attempts), number) if number < len(episode.positions) - 1 else episode
        yield from messages(episode.task.cell, prompt(open_here))


def _events(episode: Episode, outputs: Sequence[ModelOutput], clock: datetime) -> Iterator[Event]:
    """A model's call and the verdict for each answer; their times are those of the answers' own."""
    turns = [(p, a) for p, position in enumerate(episode.positions) for a in range(len(position.attempts))]
    began = clock
    for (at, number), output in zip(turns, outputs, strict=True):
        attempt = episode.positions[at].attempts[number]
        asked = messages(episode.task.cell, prompt(fork(episode, number, at)))
        passed = (clock - began).total_seconds()
        config = GenerateConfig(temperature=attempt.sample.temperature) if attempt.sample else GenerateConfig()
        taken = output.time or 0.0
        clock += timedelta(seconds=taken)
        yield ModelEvent(
            model=output.model,
            input=asked,
            tools=[],
            tool_choice="none",
            config=config,
            output=output,
            timestamp=clock - timedelta(seconds=taken),
            completed=clock,
            working_start=passed,
            working_time=taken,
        )
        verdict = {**asdict(attempt.verdict), "reward": attempt.reward, "tags": list(attempt.tags)}
        yield InfoEvent(source="labkit", data=carried(verdict), timestamp=clock, working_start=passed + taken)


def _output(attempt: Attempt, player: str) -> ModelOutput:
    output = ModelOutput.from_content(
        model=player,
        content=carried(attempt.answer),
        stop_reason="max_tokens" if attempt.sample and attempt.sample.truncated else "stop",
    )
    if attempt.sample:
        read, sampled = attempt.sample.prompt_tokens, attempt.sample.tokens
        output.usage = ModelUsage(input_tokens=read, output_tokens=sampled, total_tokens=read + sampled)
        output.time = attempt.sample.seconds
    return output
