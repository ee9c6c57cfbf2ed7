"""The same data, model and optimiser in TRL's SFTTrainer: the losses agree step for step."""

import pytest

from labkit.models.chat import encode
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.runs import Run
from labkit.training.sft.data import expert_dialogues
from labkit.training.sft.fit import Objective, Optimisation, fit
from labkit.training.sft.mixture import vocabulary

pytest.importorskip("trl", reason="no trl; pip install 'labkit[test]' -c constraints.txt")

STEPS, BATCH, LR = 20, 4, 2e-3


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(vocabulary(), 500)


@pytest.fixture(scope="module")
def dialogues():
    """Some of one answer, some of several."""
    return expert_dialogues("gp-l", STEPS * BATCH, mistakes=2)


def small_model(tokenizer):
    return build_model(Shape(hidden=32, layers=2, heads=2, feed_forward=48, context=1024), tokenizer, seed=0)


def theirs(tokenizer, dialogues, folder, loss):
    """The losses and gradient norms that TRL logs."""
    import datasets
    import trl

    datasets.disable_progress_bars()
    rows = [{"messages": [{"role": m.role, "content": m.text} for m in d.messages]} for d in dialogues]
    config = trl.SFTConfig(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        learning_rate=LR,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.98,
        weight_decay=0.0,
        max_grad_norm=1.0,
        assistant_only_loss=True,
        loss_type={"cross-entropy": "nll", "dft": "dft"}[loss],
        max_length=None,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        activation_checkpointing=False,
        train_sampling_strategy="sequential",
    )
    trainer = trl.SFTTrainer(
        small_model(tokenizer), args=config, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
    )
    trainer.train()
    return [(entry["loss"], entry["grad_norm"]) for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("loss", ["cross-entropy", "dft"])
def test_losses_are_those_of_trl(tokenizer, dialogues, tmp_path, loss):
    run = Run.create(tmp_path, "t", "stage: sft\n")
    fit(
        small_model(tokenizer),
        tokenizer,
        lambda step: encode(tokenizer, dialogues[step * BATCH : (step + 1) * BATCH]),
        Optimisation(steps=STEPS, batch_size=BATCH, lr=LR, betas=(0.9, 0.98), clip=1.0),
        run,
        objective=Objective(loss),
    )
    ours = [(metrics["loss"], metrics["grad_norm"]) for metrics in run.metrics()]
    assert len(ours) == STEPS
    for mine, other in zip(ours, theirs(tokenizer, dialogues, tmp_path / "trl", loss), strict=True):
        assert mine == pytest.approx(other, abs=1e-4)
    # They moved, so that agreeing means something.
    assert abs(ours[-1][0] - ours[0][0]) > 0.01
