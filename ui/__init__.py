"""The page and the command line: two faces of the same services."""
