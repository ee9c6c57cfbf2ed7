"""Training: SFT steps and RL updates, beside the bare forward and backward pass of the same tokens.

The bare pass is a ceiling: batches of the same rows, lying ready as tensors; forward, loss, backward and AdamW's step,
and nothing else. An RL update also plays and scores, which no ceiling of training has; so it is timed once by its
learning alone, and once as a whole beside TRL's GRPOTrainer where that is installed. There, both learn from as many
episodes of the same deals; TRL plays them with ``generate`` of transformers.

Pre-training is timed compiled, beside the same steps uncompiled, both in bf16 and with the documents of the mixture:
micro-batches hold documents of like length, short questions and long dialogues apart. Compiling itself is not timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
import transformers

from labkit.bench.play import checkpoint
from labkit.bench.timing import Row, Work, compare
from labkit.models.batches import micro_batches
from labkit.models.bundle import ModelBundle
from labkit.models.chat import Example, encode
from labkit.models.forward import chosen_tokens, hidden_states, logits
from labkit.models.loader import load
from labkit.rollout import Rollout
from labkit.runs import Run
from labkit.training.rl.config import RLConfig
from labkit.training.rl.credit import assign
from labkit.training.rl.loop import make_player, make_policy
from labkit.training.rl.update import Learner
from labkit.training.sft import mixture
from labkit.training.sft.data import expert_dialogues
from labkit.training.sft.fit import Optimisation, Predictor, collate, fit

STEPS, BATCH = 4, 64
"""Of SFT in a round."""
EPISODES, GROUP, ATTEMPTS, NEW_TOKENS = 64, 8, 3, 48
"""Of an RL update."""
LR = 1e-4
_BARE = "bare forward, backward and AdamW"
_TRL = "TRL's GRPOTrainer"


def figures() -> int:
    """How many rows there will be."""
    return 3 + bool(compiler()) + _has_trl()


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time training of the tiny model on the CPU, in fp32."""
    transformers.logging.disable_progress_bar()
    with TemporaryDirectory() as folder:
        path, whose = checkpoint(Path(folder))
        timed: list[Callable[[], Row]] = [partial(_sft, path, whose, Path(folder), rounds)]
        if compiler():
            timed.append(partial(_pretraining, path, rounds))
        for credit in ("ppo", "grpo"):
            what = f"RL ({credit}) without play, {whose}"
            timed.append(partial(_learning, path, what, settings(credit), rounds))
        if _has_trl():
            timed.append(partial(_beside_trl, path, whose, Path(folder), rounds))
        for time_it in timed:
            # Not around the yield: what is told of a row is to be seen.
            with _quietly():
                row = time_it()
            yield row


def _has_trl() -> bool:
    return bool(find_spec("trl") and find_spec("datasets"))


def compiler() -> str | None:
    """The C++ compiler that ``torch.compile`` needs."""
    return which("g++") or which("clang++")


def settings(credit: str) -> RLConfig:
    """An update as it is timed."""
    return RLConfig.parse(
        {
            "stage": "rl",
            "model": "none",
            "updates": 1,
            "episodes": EPISODES,
            "group": GROUP,
            "attempts": ATTEMPTS,
            "max_new_tokens": NEW_TOKENS,
            "batch": EPISODES,
            "credit": {"kind": credit},
            "lr": LR,
        }
    )


def learner(loaded: ModelBundle, config: RLConfig) -> Learner:
    """What plays and learns, without a run around it."""
    return Learner(config, make_policy(config, loaded), make_player(config, loaded))


def bare(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[dict[str, torch.Tensor]]) -> None:
    """A step over batches of :func:`labkit.training.sft.fit.collate`."""
    for batch in batches:
        chosen_BT = batch["labels"] != -100
        hidden_ND = hidden_states(model, batch["input_ids"], batch["attention_mask"], chosen_BT)
        F.cross_entropy(logits(model, hidden_ND), chosen_tokens(batch["input_ids"], chosen_BT)).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def cut(examples: Sequence[Example], tokens: int) -> list[dict[str, torch.Tensor]]:
    """The batches that a trainer would make of them."""
    return [collate(some) for some, _ in micro_batches(examples, tokens)]


def _sft(path: Path, whose: str, folder: Path, rounds: int) -> Row:
    """The stage as it is, from deals to logs, checkpoint and state at the end."""
    ours, plain = load(path), load(path)
    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=LR)
    options = Optimisation(steps=STEPS, batch_size=BATCH, lr=LR, save_every=STEPS)

    def examples(number: int, step: int) -> list[Example]:
        first = (number * STEPS + step) * BATCH
        return encode(ours.tokenizer, expert_dialogues("gp-l", BATCH, first=first, mistakes=1), parts=False)

    batches = [
        [cut(examples(number, step), options.micro_batch_tokens) for step in range(STEPS)] for number in range(rounds)
    ]

    def train(number: int) -> int:
        run = Run.create(folder, "sft", "stage: sft\n")
        meter = fit(ours.model, ours.tokenizer, lambda step: examples(number, step), options, run)
        return meter.trained_tokens

    def pass_only(number: int) -> int:
        for step in batches[number]:
            bare(plain.model, optimizer, step)
        return sum(int(batch["attention_mask"].sum()) for step in batches[number] for batch in step)

    return compare("train", f"SFT, {whose}, batch {BATCH}", "tokens/s", train, pass_only, _BARE, rounds)


def _pretraining(path: Path, rounds: int) -> Row:
    """Forward and backward passes over the documents of the mixture, compiled and not."""
    ours, plain = load(path), load(path)
    compiled, eager = Predictor(ours.model, compiled=True), Predictor(plain.model)
    batches = [
        batch
        for step in range(STEPS)
        for batch in cut(encode(ours.tokenizer, mixture.documents(0, mixture.FIRST_STEPS + step, BATCH)), 4096)
    ]

    def passes(predictor: Predictor) -> Work:
        def work(_: int) -> int:
            for batch in batches:
                with torch.autocast("cpu", torch.bfloat16):
                    logits_NV = predictor(**batch)
                F.cross_entropy(logits_NV, chosen_tokens(batch["input_ids"], batch["labels"] != -100)).backward()
            predictor.zero_grad()
            return sum(int(batch["attention_mask"].sum()) for batch in batches)

        return work

    passes(compiled)(0)
    what = f"pre-training in bf16, {STEPS} steps of {BATCH} documents, compiled"
    return compare("train", what, "tokens/s", passes(compiled), passes(eager), "the same, not compiled", rounds)


def _learning(path: Path, what: str, config: RLConfig, rounds: int) -> Row:
    """What an update learns from, once it has been played."""
    loaded, plain = load(path), load(path)
    learning = learner(loaded, config)
    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=LR)
    played = [learning.play(number) for number in range(rounds)]
    for rollout in played:
        learning.score(rollout)
        assign(rollout, config.credit, config.group)
    batches = [cut(as_examples(rollout), config.micro_batch_tokens) for rollout in played]

    def learn(number: int) -> int:
        learning.learn(played[number], 0)
        return sum(len(row.ids) for row in played[number].rows)

    def pass_only(number: int) -> int:
        bare(plain.model, optimizer, batches[number])
        return sum(len(row.ids) for row in played[number].rows)

    return compare("train", what, "tokens/s", learn, pass_only, _BARE, rounds)


def as_examples(rollout: Rollout) -> list[Example]:
    """The rows, with loss on what was sampled."""
    return [Example(row.ids, row.sampled) for row in rollout.rows]


def _beside_trl(path: Path, whose: str, folder: Path, rounds: int) -> Row:
    """Whole updates; theirs without what it takes to set a trainer up."""
    from labkit.interop.trl_grpo import trainer

    learning = learner(load(path), settings("grpo"))
    deals = [settings("grpo").model_copy(update={"seed": number}) for number in range(rounds)]
    trainers = [trainer(load(path), config, folder / "trl") for config in deals]

    def ours(number: int) -> int:
        return len(learning.update(number)[1].episodes)

    def theirs(number: int) -> int:
        trainers[number].train()
        return EPISODES

    return compare("train", f"RL (grpo) with play, {whose}", "episodes/s", ours, theirs, _TRL, rounds)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without progress bars and what TRL prints."""
    with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield
