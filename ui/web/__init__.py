"""The page: the only room that knows gradio."""

from ui.web import fast_import

fast_import.install()
