"""Games that a small model learns in seconds, and that model: what a policy gradient must be able to do."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from labkit.envs import Game, cells, register
from labkit.envs.games import Row
from labkit.episode import Attempt, Episode, Position, Task, Verdict
from labkit.models.bundle import ModelBundle
from labkit.models.loader import load
from labkit.models.policy import Policy
from labkit.players.base import Player
from labkit.training.common.setup import prepare
from labkit.training.rl.config import RLConfig
from labkit.training.rl.loop import make_optimizer, make_player
from labkit.training.rl.update import Learner

WORDS = [f"{n}" for n in range(10)] + ["a", "b", "again", "pick"]
SPECIAL = ["<pad>", "<end>", "<user>", "<bot>"]
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}<user>{{ m['content'] }}{% else %}<bot>{{ m['content'] }}<end>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)


class Bandit(Game):
    """Two levers; ``b`` is right."""

    suites, splits, templates, placeholders = ("id",), ("train",), {}, {}
    decisive_field = "lever"
    typed = ("lever",)
    pictured = False

    def __init__(self, cell: str) -> None:
        self.cell = cell

    def question(self, rng: random.Random) -> tuple[str, str]:
        return "pick", "b"

    def task(self, **settings: Any) -> Task:
        raise NotImplementedError("tasks are dealt")

    def tasks(
        self, suite: str, split: str = "all", *, seed: int = 0, first: int = 0, attempts: int = 2, **settings: Any
    ) -> Iterator[Task]:
        for index in range(first, 10**9):
            asked, right = self.question(random.Random(f"{self.cell}/{seed}/{index}"))
            yield Task(
                cell=self.cell,
                deal={"asked": asked, "right": right},
                rule={},
                attempts=attempts,
                reward={"exhausted": -1.0},
                seed=seed,
                index=index,
                suite=suite,
                split=split,
            )

    def first(self, task: Task) -> Position:
        return Position({}, task.deal["asked"])

    def judge(self, episode: Episode, answer: str) -> Attempt:
        success = answer.strip() == episode.task.deal["right"]
        category, feedback = ("correct", "") if success else ("wrong", "again")
        return Attempt(answer, Verdict(category, success, 5.0 if success else -1.0, feedback, {}))

    def advance(self, episode: Episode) -> Position | str | None:
        return "success" if episode.position.attempts[-1].verdict.success else None

    def decisive_span(self, answer: str) -> tuple[int, int] | None:
        return (0, len(answer)) if answer else None


class Highest(Bandit):
    """Three cards; the highest is right."""

    def question(self, rng: random.Random) -> tuple[str, str]:
        cards = rng.sample(range(10), 3)
        return " ".join(map(str, cards)), str(max(cards))


for name, each in (("bandit", Bandit), ("highest", Highest)):
    if name not in cells():
        register(Row(name=name, title=name, cells={name: name}, game=each))


def tokenizer() -> PreTrainedTokenizerFast:
    """Word by word."""
    vocabulary = {word: n for n, word in enumerate([*SPECIAL, *WORDS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=TEMPLATE,
        pad_token="<pad>",
        eos_token="<end>",
        extra_special_tokens={"user_token": "<user>", "bot_token": "<bot>"},
    )


def model(seed: int = 0, width: int = 32) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(SPECIAL) + len(WORDS),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
            attn_implementation="eager",
        )
    )


def exact_model(seed: int = 0) -> GPT2LMHeadModel:
    """In double precision throughout, where a Llama norms and attends in fp32: for finite differences."""
    torch.manual_seed(seed)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "vocab_size": len(SPECIAL) + len(WORDS)}
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(**shape, **ends, attn_implementation="eager")).double()


def saved(folder, seed: int = 0) -> ModelBundle:
    """A fresh model as a checkpoint, loaded."""
    model(seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return load(folder)


KINDS = ("ppo", "ppo-turn", "ppo-bilevel", "grpo", "rloo", "reinforce")


def config(**settings: Any) -> RLConfig:
    """Settings that train a small game in seconds."""
    small = {"stage": "rl", "model": "none", "cell": "bandit", "updates": 40, "episodes": 64, "max_new_tokens": 1}
    return RLConfig.parse({**small, "lr": 0.02, "attempts": 1, **settings})


def of_kind(kind: str) -> dict[str, Any]:
    """Settings of a kind of credit."""
    return {"credit": {"kind": kind}, "group": 4 if kind in ("grpo", "rloo") else 1}


def learner(
    loaded: ModelBundle,
    settings: RLConfig,
    optimizer: Callable[[Policy, RLConfig], torch.optim.Optimizer] = make_optimizer,
    fresh: PreTrainedModel | None = None,
    player: Callable[[RLConfig, ModelBundle], Player] = make_player,
) -> Learner:
    """What ``labkit train`` makes of these settings, without a run around it.

    Args:
        loaded: its tokenizer is used.
        fresh: where to start; a new model of the settings' seed if not given.
        player: makes the player of the episodes.
    """
    loaded = replace(loaded, model=(fresh or model(settings.seed)).eval())
    policy = Policy(loaded.model, settings.critic if settings.has_critic else "none", seed=settings.seed)
    policy.eval().to(loaded.model.dtype)
    ready = prepare(settings, loaded.model, policy, optimizer(policy, settings), reference=settings.kl > 0)
    return Learner(settings, ready, player(settings, loaded))


def plain_sgd(policy: Policy, settings: RLConfig) -> torch.optim.SGD:
    """With a rate of 1 and no clip the weights move by minus the gradient."""
    critic = [] if policy.value_head is None else list(policy.value_head.parameters())
    groups = [{"params": list(policy.model.parameters()), "peak": 1.0, "critic": False}]
    return torch.optim.SGD(groups + ([{"params": critic, "peak": 1.0, "critic": True}] if critic else []), lr=1.0)


def weights(policy: torch.nn.Module) -> torch.Tensor:
    """All parameters end to end."""
    return torch.cat([p.detach().flatten().double() for p in policy.parameters()])


def digest(policy: torch.nn.Module) -> str:
    return hashlib.sha256(weights(policy).numpy().tobytes()).hexdigest()
