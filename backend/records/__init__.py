"""Frozen data that packages exchange. A record refuses unknown keys.

    base.py      the class of every record
    specs.py     what defines a run: settings, model, data, version
    machine.py   what a machine has
    rows.py      a row, a problem, a description of the file
    reading.py   options and limits for reading a file
    lengths.py   what happens to long conversations and documents
    encoded.py   token ids and labels
    events.py    the events of a job
    units.py     sizes in bytes

Decision: Events are typed from the writer to the plot. They are validated when read, never when written.
Because: a renamed field is then a type error and not an empty curve, and a strange value can't stop training.
Proof: tests/backend/records/test_events.py, tests/jobs/test_events.py.
Reconsider when: events come from programs that are not ours.
"""
