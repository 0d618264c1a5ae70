"""Facts that start.py needs before anything is installed: this machine, and which PyTorch fits it.

It uses the standard library only.

builds.py    the table
machine.py   this machine
"""
