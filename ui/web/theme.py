"""Gradio's own components in our colors. Every value is a variable of static/style.css, the one source of the look,
light and dark."""

from pathlib import Path

import gradio as gr

from backend.files.json_file import read_json

SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
VALUES = read_json(Path(__file__).with_suffix(".json"))  # a value, and the variables of gradio that take it


def theme() -> gr.themes.Base:
    """The theme for `launch(theme=...)`, with system fonts only, so nothing is loaded from other servers."""
    look = gr.themes.Base(
        font=[gr.themes.Font(name) for name in SYSTEM],
        font_mono=[gr.themes.Font(name) for name in MONO],
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
    )
    variables = set(dir(look))
    for value, names in VALUES.items():
        for name in names:
            setattr(look, name, value)
            if f"{name}_dark" in variables:
                setattr(look, f"{name}_dark", value)
    return look
