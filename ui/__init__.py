"""The page and the command line: two faces of the same services."""

from ui import quick_gradio

quick_gradio.install()
