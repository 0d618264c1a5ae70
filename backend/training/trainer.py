"""TRL's SFTTrainer runs the loop, the optimizer and its schedule; the rows, the loss and the checkpoints are ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.training.session import TrainingSession
from backend.training.state import save as saved_state

if TYPE_CHECKING:
    import torch


def build(model: Any, session: TrainingSession) -> Any:
    """The trainer of a run. Its batches are all rows of an optimizer step.

    Overrides defaults that would be wrong here: learning rate, activation checkpointing, precision, length,
    checkpoints (pickled, rotated by file times) and reporting to other services.
    """
    from transformers import PrinterCallback, ProgressCallback
    from trl import SFTTrainer

    class SessionTrainer(SFTTrainer):  # type: ignore[misc]
        loss_is_scaled_for_ga = True

        def get_train_dataloader(self) -> Any:
            return session.loader()

        def training_step(self, model: Any, inputs: list[int], num_items_in_batch: Any = None) -> torch.Tensor:
            self.model.train()
            return session.compute_gradients(self.model, inputs, self.accelerator.backward)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "grad_norm" in logs:  # not the summary after training
                session.report_step(
                    self.state.global_step, self.state.epoch, logs["loss"], logs["grad_norm"], logs["learning_rate"]
                )

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            self.control.should_evaluate = False  # otherwise the end of an epoch evaluates once more
            loss = session.evaluate(self.model, self.state.global_step)
            self.control.should_training_stop = self.control.should_training_stop or session.out_of_patience
            return {"eval_loss": loss}

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            session.save(self)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            saved_state.load_weights(Path(resume_from_checkpoint), self.model)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint:
                saved_state.load_optimizer(Path(checkpoint), self)

        def _load_scaler(self, checkpoint: str | None) -> None:
            pass  # loaded with the optimizer

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if checkpoint:
                saved_state.load_random_state(Path(checkpoint), session.train_step.group.rank)

    trainer = SessionTrainer(
        model=model,
        args=_arguments(session),
        train_dataset=_dataset(session),
        data_collator=list,
        processing_class=_tokenizer(session),
        callbacks=[_callback(session)],
    )
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    return trainer


def _arguments(session: TrainingSession) -> Any:
    from trl import SFTConfig

    class Arguments(SFTConfig):  # type: ignore[misc]
        place_model_on_device = None if not session.train_step.group.sharded else False  # sharded before it is moved

    settings, device = session.spec.settings, session.device
    schedule = settings.lr_scheduler_type
    return Arguments(
        output_dir=str(session.checkpoints),
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup" if schedule == "constant" else schedule,  # "constant" ignores warmup
        warmup_steps=session.schedule.warmup(settings),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        max_steps=session.schedule.total,
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


def _dataset(session: TrainingSession) -> Any:
    """The trainer only counts its rows: they reach the model through `TrainingSession.compute_gradients`."""
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [[0]] * len(session.train), "labels": [[0]] * len(session.train)})


def _tokenizer(session: TrainingSession) -> Any:
    """The trainer requires one but tokenizes nothing with it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(session.spec.model.path, local_files_only=True)


def _callback(session: TrainingSession) -> Any:
    from transformers import TrainerCallback

    class EachStep(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            session.before_step()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            session.after_step(state.global_step, control)

    return EachStep()
