"""Training a model on the rows of a run. The job "train" is job.py; `run` trains
without a dry run.

torch and its family are imported inside functions only.

Decision: TRL runs the loop, through documented hooks only; rows, loss, checkpoints and
    resuming are ours.
Because: TRL's defaults don't suit small machines (rate, dtype, logits at every
    position), transformers resumes from pickles, and its accumulation adds a part of
    the gradients before a micro batch runs out of memory. DPO uses the same loop, so
    whatever holds for one holds for both.
Proof: tests/backend/training/test_training.py, test_dpo.py (against TRL's DPOTrainer);
    tests/backend/export/test_script.py (against a plain loop);
    tests/benchmarks/training_speed.py, time_to_loss.py.
Reconsider when: transformers lets a step be retried and resumes from safetensors.

Decision: A dry run comes first: a few steps on the longest rows, by the same code, in a
    child of the worker. What it measures replaces what was computed.
Because: estimates are off, and a system short of memory then ends only the child.
Proof: tests/backend/training/test_dry_run.py, test_device_memory.py; on a GPU nothing
    of it has run.
Reconsider when: estimates of every model family come within a few percent.

Decision: Running out of memory is a step down. Within a step the micro batch is halved,
    which is exact; then the attempt ends, and up to three more follow: half the
    examples at a time, one at a time with gradient checkpointing, 4-bit.
Because: each continues from the last checkpoint and keeps the effective batch, so what
    is learned stays the same.
Proof: tests/backend/training/test_oom.py; tests/gpu/test_out_of_memory.py has not run
    on a GPU.
Reconsider when: a GPU shows that a full allocator does not recover within a process.

Decision: A micro batch hardly ever waits for the GPU: two questions that transformers
    asks of each batch are answered in its place.
Because: it offers no argument for them. Mixtures of experts, recurrent layers and
    shared prefixes still wait.
Proof: tests/backend/training/test_batch_questions.py counts the values that a step
    reads, on a CPU.
Reconsider when: transformers takes the answers as arguments.

Decision: AdamW's state can be in 8 bits (bitsandbytes). Liger's fused loss was left
    out.
Because: training all weights needs the memory. Logits exist at learned positions only,
    and Liger needs Triton, so nothing here could compare it.
Proof: tests/backend/training/state/test_resume.py resumes it bit for bit on a CPU; no
    GPU has run it.
Reconsider when: a GPU is at hand to measure Liger.

Decision: The app trains on one GPU or the processor. Several GPUs and machines are work
    for the exported script.
Because: existing engines divide models and start processes on many machines; our own
    code did less.
Proof: tests/backend/records/test_specs.py reads older runs that name several processes.
Reconsider when: people with several GPUs ask for it on the page.
"""

from backend.training.run import run

__all__ = ["run"]
