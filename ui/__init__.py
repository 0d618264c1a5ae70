"""The page and the command line: two faces of the same services."""

from ui.web import fast_import

fast_import.install()
