"""Share: export the model, checked to be the same model.

tab.py                                           the tab
views.py                                         exports, their files and checks
endpoint_card.py, hub_card.py, hf_jobs_card.py   other programs, Hugging Face, a rented GPU
at_home.py                                       how to continue without a Space
"""
