"""TRL's SFTTrainer runs the loop, the optimizer and its schedule; the rows, the loss
and the checkpoints are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.runs.token_rows import TokenRow, TokenRows, token_row
from backend.training.session import TrainingSession

if TYPE_CHECKING:
    import torch


def build(model: Any, session: TrainingSession) -> Any:
    """The trainer of a run. Its batches are all rows of an optimizer step. Overrides
    defaults that would be wrong here: learning rate, activation checkpointing,
    precision, length, checkpoints (pickled, rotated by file times) and reporting to
    other services.
    """
    from transformers import AutoTokenizer, PrinterCallback, ProgressCallback
    from trl import SFTTrainer

    class SessionTrainer(SFTTrainer):  # type: ignore[misc]
        loss_is_scaled_for_ga = (
            True  # `compute_loss` divides by what the whole step learns
        )

        def get_train_dataloader(self) -> Any:
            from torch.utils.data import DataLoader

            rows, steps = (
                self.train_dataset.with_format("numpy"),
                session.step_batches(),
            )
            return DataLoader(rows, batch_sampler=steps, collate_fn=_token_rows)

        def training_step(
            self, model: Any, inputs: list[TokenRow], num_items_in_batch: Any = None
        ) -> torch.Tensor:
            """The gradients of a whole optimizer step: TRL's own step for each micro
            batch, so that one that runs out of memory can be repeated in halves.
            """
            return session.compute_gradients(
                self.model, inputs, partial(super().training_step, self.model)
            )

        def compute_loss(
            self,
            model: Any,
            inputs: Sequence[TokenRow],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> torch.Tensor:
            return session.train_step.loss(model, inputs, num_items_in_batch)

    trainer = SessionTrainer(
        model=model,
        args=_arguments(session),
        train_dataset=dataset(session.train),
        data_collator=_token_rows,
        # required, though our rows are tokens already
        processing_class=AutoTokenizer.from_pretrained(
            session.spec.model.path, local_files_only=True
        ),
    )
    trainer.add_callback(_callback(session, trainer))
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    return trainer


def _arguments(session: TrainingSession) -> Any:
    from trl import SFTConfig

    settings, device = session.spec.settings, session.device
    as_they_are = {
        name: getattr(settings, name)
        for name, setting in settings.facts().items()
        if setting.argument
    }
    schedule = settings.lr_scheduler_type
    # transformers' 8-bit ones keep the state of embeddings in 32 bits; without an
    # NVIDIA GPU there is nothing to page
    paged = settings.optim == "paged_adamw_8bit" and device.kind == "cuda"
    in_8_bits = "paged_adamw_8bit" if paged else "adamw_bnb_8bit"
    return SFTConfig(
        output_dir=str(session.checkpoints),
        **as_they_are,
        lr_scheduler_type="constant_with_warmup"
        if schedule == "constant"
        else schedule,  # "constant" ignores warmup
        warmup_steps=session.schedule.warmup(settings),
        max_steps=session.schedule.total,
        per_device_train_batch_size=settings.effective_batch,
        gradient_accumulation_steps=1,
        activation_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing=None,
        optim="adamw_torch_fused" if settings.optim == "adamw" else in_8_bits,
        bf16=False,  # autocast is ours: see Device.autocast
        fp16=device.precision == "fp16",  # for its scaler
        use_cpu=device.kind == "cpu",
        max_length=None,
        router_aux_loss_coef=0.0,  # of experts: our loss has no such part, and sampling several answers fails with it
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


def dataset(rows: TokenRows) -> Any:
    """`rows` as the trainer's `Dataset`, as little in memory as they are."""
    from datasets import Dataset
    from datasets.table import InMemoryTable

    return Dataset(InMemoryTable(rows.table))


def _token_rows(examples: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
    return [token_row(example) for example in examples]


def keep_precision_of_output(model: Any) -> None:
    """Undoes the conversion of a model's output to float32 that comes with accelerate's
    scaler for fp16: our loss converts a part of the logits at a time.
    """
    forward = model.__dict__.pop("_original_forward", None)
    if forward is not None:
        model.forward = forward


def _callback(session: TrainingSession, trainer: Any) -> Any:
    from transformers import TrainerCallback

    class EachStep(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            keep_precision_of_output(trainer.model)
            session.restore(trainer)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            session.before_step()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            session.after_step(session.steps_before + state.global_step, control)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any
        ) -> None:
            if "grad_norm" in logs:  # not the summary after training
                step = session.steps_before + state.global_step
                session.report_step(
                    step, logs["loss"], logs["grad_norm"], logs["learning_rate"]
                )
                session.evaluate_and_save(step, trainer)
                control.should_training_stop = (
                    control.should_training_stop or session.out_of_patience
                )
                state.log_history.clear()  # events.jsonl has it

    return EachStep()
