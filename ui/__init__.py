"""The page and the command line: two faces of the same services.

cli/        the commands
web/        the page
services/   what both have in common
records/    what the services return
text/       words for people
"""
