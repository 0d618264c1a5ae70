"""Data: add examples, see what is wrong with them and fix it, see what will be learned.

tab.py                          the tab
views.py, actions.py            its cards, and their buttons
import_panel.py                 adding examples
read_options.py                 questions about a file
decisions.py                    what needs the person, one at a time
issues.py, before_after.py      everything that was found, as a table; rows before and after
preview.py                      one example, as bubbles and as tokens
drafting.py                     making examples, one draft at a time
edit_panel.py, edit_views.py    editing examples
"""
