"""Services for examples: imported, checked, edited, written, previewed.

datasets.py, dataset_state.py         datasets, and one as the page sees it
imports.py                            files read in the background
hub_data.py, samples.py               from the hub, samples
drafting.py                           made from a text, a table or a topic
edits.py, edited_examples.py          examples edited as forms
preview.py                            one example to look at
"""
