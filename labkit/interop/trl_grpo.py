"""TRL's GRPOTrainer on sequential revision: same checkpoint, deals, rewards and learning rate as a `grpo` config.

::

    from pathlib import Path

    from labkit.interop.trl_grpo import trainer
    from labkit.models.loader import load
    from labkit.players.registry import resolve_checkpoint
    from labkit.training.rl.config import RLConfig

    settings = {"stage": "rl", "model": "tiny:gp-l/init", "cell": "gp-l", "critic": "none", "credit": {"kind": "grpo"}}
    config = RLConfig.parse({**settings, "episodes": 16, "group": 8, "updates": 10})
    trainer(load(resolve_checkpoint(config.model)), config, Path("trl-grpo")).train()

TRL's ``rollout_func`` plays the episodes with ``generate`` of transformers, all of a step side by side. An episode is
one completion: the answers, and between them the feedback, which ``env_mask`` keeps out of the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from labkit.envs import game, judge, prompt, start
from labkit.errors import UsageError
from labkit.models.bundle import ModelBundle
from labkit.models.chat import render, suffix

if TYPE_CHECKING:
    from trl import GRPOTrainer

    from labkit.training.rl.config import RLConfig

_LOSS = {"token": "dapo", "episode": "grpo"}
"""TRL's name of a mean over all tokens, and of a mean over episodes of means over tokens."""


def trainer(loaded: ModelBundle, config: RLConfig, out: Path) -> GRPOTrainer:
    """What trains with the settings of a ``grpo`` config that TRL has too.

    Raises:
        ImportError: TRL is not installed.
        UsageError: it has nothing like one of the settings.
    """
    import trl
    from datasets import Dataset

    if config.credit.kind != "grpo" or config.credit.mean_over not in _LOSS:
        raise UsageError("TRL has credit kind grpo, and mean_over token or episode; --set credit.kind=grpo")
    groups = config.updates * config.episodes // config.group
    settings = {"attempts": config.attempts} if config.attempts else {}
    tasks = game(config.cell).tasks(config.suite, config.split, seed=config.seed, **settings)
    first = {start(task).position.prompt: task for task in islice(tasks, groups)}
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in first]

    def rollout(prompts: Sequence[list[dict[str, str]]], this: GRPOTrainer) -> dict[str, Any]:
        episodes = [start(first[chat[-1]["content"]]) for chat in prompts]
        asked = [list(render(loaded, prompt(episode))) for episode in episodes]
        said: list[list[int]] = [[] for _ in episodes]
        masks: list[list[int]] = [[] for _ in episodes]
        model = this.accelerator.unwrap_model(this.model)
        model.eval()
        while live := [i for i, episode in enumerate(episodes) if not episode.done]:
            answers = _sample(model, loaded, [asked[i] + said[i] for i in live], config)
            for i, ids in zip(live, answers, strict=True):
                ended = ids[-1] in loaded.stop_ids
                text = loaded.tokenizer.decode(ids[: len(ids) - ended], skip_special_tokens=True)
                said[i] += ids
                masks[i] += [1] * len(ids)
                episodes[i] = judge(episodes[i], text)
                if not episodes[i].done:
                    feedback = suffix(loaded, prompt(episodes[i])[-1], ended=ended)
                    said[i] += feedback
                    masks[i] += [0] * len(feedback)
        model.train()
        rewards = [episode.reward * config.credit.reward_scale for episode in episodes]
        return {"prompt_ids": asked, "completion_ids": said, "logprobs": None, "env_mask": masks, "rewards": rewards}

    def earned(prompts: Any, completions: Any, rewards: list[float], **others: Any) -> list[float]:
        return rewards

    arguments = trl.GRPOConfig(
        output_dir=str(out),
        max_steps=config.updates,
        per_device_train_batch_size=config.episodes,
        num_generations=config.group,
        max_completion_length=loaded.model.config.max_position_embeddings,
        temperature=config.temperature,
        learning_rate=config.lr,
        lr_scheduler_type="constant",
        weight_decay=config.weight_decay,
        max_grad_norm=config.grad_clip,
        beta=config.kl,
        epsilon=config.clip,
        scale_rewards="group" if config.credit.scale else "batch" if config.credit.normalise else "none",
        loss_type=_LOSS[config.credit.mean_over],
        shuffle_dataset=False,
        activation_checkpointing=False,
        use_cpu=loaded.model.device.type == "cpu",
        bf16=False,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=config.seed,
    )
    return trl.GRPOTrainer(
        loaded.model,
        reward_funcs=earned,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.tokenizer,
        rollout_func=rollout,
    )


@torch.no_grad()
def _sample(
    model: torch.nn.Module, loaded: ModelBundle, contexts: Sequence[list[int]], config: RLConfig
) -> list[list[int]]:
    """An answer to each context, its end token included, of left-padded contexts side by side."""
    longest = max(map(len, contexts))
    ids_BT = torch.tensor([[loaded.pad_id] * (longest - len(ids)) + ids for ids in contexts])
    mask_BT = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in contexts])
    out_BT = model.generate(
        input_ids=ids_BT.to(model.device),
        attention_mask=mask_BT.to(model.device),
        do_sample=True,
        temperature=config.temperature,
        top_k=0,
        max_new_tokens=config.max_new_tokens,
        eos_token_id=list(loaded.stop_ids),
        pad_token_id=loaded.pad_id,
    )
    answers = out_BT[:, longest:].tolist()
    ends = [next((n + 1 for n, i in enumerate(ids) if i in loaded.stop_ids), len(ids)) for ids in answers]
    return [ids[:end] for ids, end in zip(answers, ends, strict=True)]
