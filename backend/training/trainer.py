"""TRL's SFTTrainer, which runs the loop, the optimizer and its schedule; what it learns from and saves is ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.training.session import Practice
from backend.training.state import save as state_saving

if TYPE_CHECKING:
    import torch


def build(model: Any, practice: Practice) -> Any:
    """The trainer of a run: for it, one batch is all rows of an optimizer step.

    Its own defaults that would be wrong here are set: learning rate, checkpointing of activations, precision, length,
    checkpoints (pickled, rotated by file times) and reports to other services.
    """
    from transformers import PrinterCallback, ProgressCallback
    from trl import SFTTrainer

    class PracticeTrainer(SFTTrainer):  # type: ignore[misc]
        loss_is_scaled_for_ga = True

        def get_train_dataloader(self) -> Any:
            return practice.loader()

        def training_step(self, model: Any, inputs: list[int], num_items_in_batch: Any = None) -> torch.Tensor:
            self.model.train()
            return practice.learn(self.model, inputs, self.accelerator.backward)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "grad_norm" in logs:  # not the summary at the end
                practice.tell_step(
                    self.state.global_step, self.state.epoch, logs["loss"], logs["grad_norm"], logs["learning_rate"]
                )

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            self.control.should_evaluate = False  # else the end of an epoch evaluates once more
            loss = practice.test(self.model, self.state.global_step)
            self.control.should_training_stop = self.control.should_training_stop or practice.exhausted
            return {"eval_loss": loss}

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            practice.save(self)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            state_saving.load_weights(Path(resume_from_checkpoint), self.model)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint:
                state_saving.load_optimizer(Path(checkpoint), self)

        def _load_scaler(self, checkpoint: str | None) -> None:
            pass  # loaded with the optimizer

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if checkpoint:
                state_saving.load_random_state(Path(checkpoint), practice.learner.team.rank)

    trainer = PracticeTrainer(
        model=model,
        args=_arguments(practice),
        train_dataset=_dataset(practice),
        data_collator=list,
        processing_class=_tokenizer(practice),
        callbacks=[_callback(practice)],
    )
    for talkative in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(talkative)
    return trainer


def _arguments(practice: Practice) -> Any:
    from trl import SFTConfig

    class Arguments(SFTConfig):  # type: ignore[misc]
        place_model_on_device = None if not practice.learner.team.shards else False  # divided before it is moved

    settings, device = practice.spec.settings, practice.device
    schedule = settings.lr_scheduler_type
    return Arguments(
        output_dir=str(practice.checkpoints),
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup" if schedule == "constant" else schedule,  # "constant" ignores warmup
        warmup_steps=practice.schedule.warmup(settings),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        max_steps=practice.schedule.total,
        per_device_train_batch_size=settings.effective_batch,
        gradient_accumulation_steps=1,
        activation_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing=None,
        optim="adamw_torch_fused",
        bf16=False,  # autocast is ours: see Device.autocast
        fp16=device.precision == "fp16",  # for its scaler
        use_cpu=device.kind == "cpu",
        seed=settings.seed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _dataset(practice: Practice) -> Any:
    """The trainer only counts it: rows reach the model through `Practice.learn`."""
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [[0]] * len(practice.train), "labels": [[0]] * len(practice.train)})


def _tokenizer(practice: Practice) -> Any:
    """The trainer asks for one; it tokenises nothing with it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(practice.spec.model.path, local_files_only=True)


def _callback(practice: Practice) -> Any:
    from transformers import TrainerCallback

    class EachStep(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            practice.step_begins()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            practice.after_step(state.global_step, control)

    return EachStep()
