"""Share: export the model, checked to be the same model.

tab.py                          the tab
views.py                        exports, their files and checks; how to continue without a Space
endpoint_card.py, hub_card.py   other programs, Hugging Face
"""
