"""A run's data on disk: what it learns from, what judges it, where it starts.

Decision: A run's rows are an Arrow file that is mapped into memory. Its hash is checked
    before each start.
Because: the trainer reads rows as it uses them, and the page reads them without the
    package datasets.
Proof: tests/backend/runs/test_prepare.py, tests/backend/training/test_training.py.
Reconsider when: another format can be mapped and needs no pyarrow.

Decision: A version is a run of its own that names the one before. One that continues
    has its own copy of the weights, whose digest is in its spec.
Because: a run stays frozen, so deleting or resuming the other run changes nothing. It
    is possible only where the weights have the same shape.
Proof: tests/ui/services/training/test_versions.py.
Reconsider when: copies of fully trained models fill disks.

Decision: A row stays on its side from version to version, also when its answer was
    edited; only a corrected row changes sides.
Because: a question that trained one version can't judge the next.
Proof: tests/backend/runs/test_division.py,
    tests/backend/evaluation/test_against_parent.py.
Reconsider when: people need to choose the held-out questions of a version themselves.

Decision: One row in five is an everyday question with the base model's own answer
    (`keep_general`), never a row of the dataset: it isn't split, judged or previewed.
Because: without them a small model answers everything in the form of its task; other
    cures cost the task or keep no more. As rows of the dataset they would change how it
    is measured.
Proof: tests/backend/training/test_general_rows.py; docs/recipes.md.
Reconsider when: larger models are measured to keep as much without.

Decision: Shorter examples after running out of memory are offered as a plan, never
    chosen.
Because: they change what is learned, and the plan says what is cut.
Proof: tests/ui/services/training/test_truncate.py.
Reconsider when: people ask for it to happen by itself.
"""
