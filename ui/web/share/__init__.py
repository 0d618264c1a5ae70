"""Share: export the model, checked to be the same model.

tab.py                          the tab
views.py                        exports, their files and checks; how to continue without a Space
spreadsheet_card.py             a spreadsheet, answered
endpoint_card.py, hub_card.py   other programs, Hugging Face
"""
