"""Services for this computer and the models on it.

models.py                        the machine and its models
advice.py                        which model and settings
downloads.py, model_imports.py   models from the hub, and from another computer
background_cache.py              answers that take seconds to compute
"""
