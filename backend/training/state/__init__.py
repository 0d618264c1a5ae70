"""The state of a run: checkpoints, resuming, verification and the result.

Decision: Resumed equals uninterrupted: rows, seed, versions and measured precision are
    frozen in the run; a checkpoint holds weights, optimizer, schedule, sampler and
    random state, without pickle.
Because: a run that behaves differently after a stop can't be trusted. It never resumes
    with another base or another run's checkpoint.
Proof: tests/backend/training/state/test_resume.py compares weights and curve bit for
    bit, on a CPU; tests/faults/real_jobs.py.
Reconsider when: tests/gpu shows how far a GPU is off: there, some sums have no fixed
    order.

Decision: A run that learned nothing has failed: nothing to learn, no step, NaN, no
    weight changed, a base weight changed.
Because: "completed" must mean that there is a model to try.
Proof: tests/backend/training/test_training.py.
Reconsider when: people need a run without steps, for example to export a base.
"""
