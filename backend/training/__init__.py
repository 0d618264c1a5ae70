"""Training a model on the rows of a run. `run` does the job "train" once backend/training/job.py has measured it.

    run.py          the whole way: read, load, practise, prove, save
    device.py       which processor or card, in which precision
    model.py        the base model with its trainable weights (LoRA, QLoRA or full)
    fused_lora.py   the same model, with LoRA layers that take fewer passes over memory
    schedule.py     how many steps, and after which ones to test and save
    batches.py      which rows are learned together
    collate.py      rows as tensors
    sharing.py      a system message that all rows share is read once for each batch
    loss.py         the loss, on learned positions only
    preference.py   the loss on pairs of a better and a worse answer (DPO)
    group.py         several processes that train one run together · member.py: the others
    collective.py   what they do together: sums, votes
    sharding.py     one model divided over them (FSDP, ZeRO-2)
    learner.py      one step, one validation, and what to do when memory runs short
    trainer.py      TRL's SFTTrainer, driven by the parts above
    refusals.py     what a run is refused for before a process starts
    rehearsal.py    a few steps of a run, for what they take
    rescue.py       what a run does without when memory runs out, and the settings as they are used
    practice.py     what happens after each step: events, tests, checkpoints, early stopping
    history.py      what a run has reached so far
    checkpoints.py  saving that survives a crash, and finding what was saved
    resume.py       what is checked and told before a run goes on
    snapshot.py     everything a run needs to go on exactly where it was
    answers.py      what the model answers to held-out prompts while it learns
    proof.py        that weights changed, and only those that should
    result.py       the folder that is kept

torch and its family are imported inside functions only.
"""

from backend.training.run import run

__all__ = ["run"]
