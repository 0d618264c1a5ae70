"""Training a model on the rows of a run. The job "train" is job.py; `run` trains without a dry run.

    job.py             the job: a dry run, then the run
    dry_run.py         measures a few steps of a run in a process of its own
    dry_run_session.py which steps those are, and how long they took
    growth.py          what the longest rows need at least, found on parts of them
    measured.py        what runs were measured to need on this machine
    preconditions.py   checks before a process starts
    run.py             a run from start to end: read, load, train, save, verify
    session.py         what happens in each step and after it: events, evaluations, checkpoints, early stopping
    train_step.py      the gradients of a step, and the validation loss
    trainer.py         TRL's SFTTrainer, driven by the session
    device.py          the device, its precision and its memory
    matmul_speed.py    how fast this processor multiplies in each precision
    model.py           the base model with its trainable weights (LoRA, QLoRA or all)
    fused_lora.py      LoRA layers with fewer passes over memory
    schedule.py        the number of steps, and after which ones to evaluate
    sampler.py         batches of rows
    collate.py         rows as tensors
    batch_questions.py what transformers would wait for a GPU to find out
    prefix_sharing.py  reads a system message that all rows share once per batch
    loss.py            the loss on learned positions
    dpo_loss.py        the loss on preference pairs; dpo_reference.py: their log-probabilities before training
    samples.py         answers to validation prompts during training
    oom.py             the out-of-memory ladder
    state/             checkpoints, resuming, verification and the result

torch and its family are imported inside functions only.
"""

from backend.training.run import run

__all__ = ["run"]
