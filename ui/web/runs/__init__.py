"""My models: every run, to open, resume, compare, rename, train again or delete.

tab.py         the tab
views.py       the list
run_names.py   a name and a note, to edit
"""
