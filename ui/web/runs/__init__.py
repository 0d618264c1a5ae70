"""My models: every run, to open, resume, compare, rename, train again or delete.

tab.py     the tab, with the fields for a name and a note
views.py   the list
"""
