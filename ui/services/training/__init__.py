"""Services for training runs: planned, started, followed, compared, repeated.

planning.py, training_plan.py   what a run would do, and its start
overrides.py                    settings that a person changed
runs.py, losses.py              runs, and their losses
retries.py                      again with one change
versions.py                     the versions of a model
prompt_trials.py                how far the base model gets with a prompt
"""
