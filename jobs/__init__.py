"""The background job runner: each job is a detached process and a folder. No gradio, no
torch.

Decision: The folder is the truth, a lock is life. There is no index; a worker is alive
    while it holds trainer.lock, and process ids are never trusted.
Because: a worker killed at any moment leaves a run that is shown as interrupted and can
    be resumed.
Proof: tests/jobs/test_death.py, test_state_machine.py; tests/benchmarks/runner_tick.py
    with a thousand runs.
Reconsider when: the tick gets slow with as many runs as people really have.

Decision: Each lane runs one job at a time. Evaluations share the lane of the runs.
Because: both load a model, and a dry run must measure alone.
Proof: tests/jobs/test_runner.py.
Reconsider when: computers hold two models easily.

Decision: Whether a worker was killed for memory is read from the counter of its control
    group; where nothing is counted, the page says "probably".
Because: the system gives no other sign.
Proof: tests/jobs/test_oom_detection.py; Windows and macOS have not run it.
Reconsider when: an exit code tells it.
"""
