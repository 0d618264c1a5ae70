"""One file for each format: how it is recognized by its first bytes, and how its
records are read.
"""
