"""Train: everything that is about to happen, then watching it happen.

tab.py                      the tab: one of these halves
planning.py, plan_view.py   the plan, and the button that starts it
settings_form.py            all settings
version_cards.py            the next version of a model
running.py, run_view.py     a run
demo_cards.py               cards of a shared demo
"""
