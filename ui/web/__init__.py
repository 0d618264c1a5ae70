"""The page: the only package that knows gradio."""

from ui.web import skip_type_stubs

skip_type_stubs.install()
