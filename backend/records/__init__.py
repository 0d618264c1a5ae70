"""Frozen data that packages exchange. A record refuses unknown keys, but a stored one ignores them.

    base.py          the classes of every record
    specs.py         what defines a run: settings, model, data, version
    machine.py       what a machine has
    rows.py          a row, a problem, a description of the file
    reading.py       options and limits for reading a file
    lengths.py       what happens to long conversations and documents
    encoded.py       token ids and labels
    events.py        the events of a job
    evaluation.py    what an evaluation and a trial of prompts found
    units.py         sizes in bytes

Decision: Events are typed from the writer to the plot. They are validated when read, never when written.
Because: a renamed field is then a type error and not an empty curve, and a strange value can't stop training.
Proof: tests/backend/records/test_events.py, tests/jobs/test_events.py.
Reconsider when: events come from programs that are not ours.

Decision: A report is checked by its record when it is read, wherever it comes from; fields that older files lack have
    defaults, and only fields that were given are written.
Because: the page can then rely on every value, and a file from another computer needs no checks of its own.
Proof: tests/backend/export/test_run_archive.py, tests/ui/services/results/test_evaluations.py.
Reconsider when: a field changes its meaning: then the file needs a version.
"""
