"""Frozen data that packages exchange. A record refuses unknown keys, but a stored one
ignores them.

Decision: Every fact about a setting stands on its field in `TrainSettings`, its help as
    the docstring. The key of a measurement is all settings except those that say that
    they cost nothing.
Because: of nine lists one was forgotten, and an 8-bit run's memory was shown for plain
    AdamW.
Proof: tests/ui/web/train/test_settings_form.py plants a setting and finds it
    everywhere.
Reconsider when: the program runs without its source, from which docstrings of fields
    are read.

Decision: Events are typed from the writer to the plot. They are validated when read,
    never when written.
Because: a renamed field is then a type error and not an empty curve, and a strange
    value can't stop training.
Proof: tests/backend/records/test_events.py, tests/jobs/test_events.py.
Reconsider when: events come from programs that are not ours.

Decision: A report is checked by its record when it is read, one from another computer
    more strictly; fields that older files lack have defaults, and only fields that were
    given are written.
Because: the page can then rely on every value, and a file from another computer needs
    no second record.
Proof: tests/backend/export/test_run_archive.py, tests/backend/records/test_results.py.
Reconsider when: a field changes its meaning: then the file needs a version.
"""
