"""Records that the services return for the page and the command line to show, with no behavior of their own.

data.py     examples
models.py   models and the access token
runs.py     plans, runs, losses
share.py    exports, uploads, endpoints
"""
