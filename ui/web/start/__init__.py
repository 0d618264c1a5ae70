"""Start: what the model should learn, what this computer can do, which model to use.

tab.py             the tab
views.py           the computer and the chosen model
models_table.py    all models
download_card.py   getting one
"""
