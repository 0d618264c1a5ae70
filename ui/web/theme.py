"""Gradio's own components in our colors. Every value is a variable of static/style.css, the one source of the look,
light and dark."""

from __future__ import annotations

import gradio as gr

SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


def theme() -> gr.themes.Base:
    """The theme for `launch(theme=...)`, with system fonts only, so nothing is loaded from other servers."""
    look = gr.themes.Base(
        font=[gr.themes.Font(name) for name in SYSTEM],
        font_mono=[gr.themes.Font(name) for name in MONO],
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
    )
    values = {
        "body_background_fill": "var(--paper)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--soft)",
        "background_fill_primary": "var(--card)",
        "background_fill_secondary": "var(--paper)",
        "border_color_primary": "var(--line)",
        "border_color_accent": "var(--accent)",
        "color_accent": "var(--accent)",
        "color_accent_soft": "var(--accent-soft)",
        "primary_500": "var(--accent)",
        "secondary_500": "var(--accent)",
        "code_background_fill": "var(--calm-soft)",
        "link_text_color": "var(--accent)",
        "link_text_color_hover": "var(--accent)",
        "link_text_color_visited": "var(--accent)",
        "link_text_color_active": "var(--accent)",
        "block_background_fill": "transparent",
        "block_border_width": "0px",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--soft)",
        "block_title_text_color": "var(--ink)",
        "block_title_text_weight": "600",
        "block_info_text_color": "var(--soft)",
        "block_shadow": "none",
        "block_padding": "0px",
        "panel_background_fill": "transparent",
        "panel_border_width": "0px",
        "section_header_text_weight": "500",
        "input_background_fill": "var(--field)",
        "input_background_fill_focus": "var(--field)",
        "input_border_width": "1px",
        "input_border_color": "var(--edge)",
        "input_border_color_focus": "var(--accent)",
        "input_border_color_hover": "var(--soft)",
        "input_placeholder_color": "var(--faint)",
        "input_shadow": "none",
        "input_shadow_focus": "0 0 0 3px var(--ring)",
        "checkbox_background_color": "var(--field)",
        "checkbox_background_color_selected": "var(--accent)",
        "checkbox_border_color": "var(--edge)",
        "checkbox_border_color_hover": "var(--soft)",
        "checkbox_border_color_focus": "var(--accent)",
        "checkbox_border_color_selected": "var(--accent)",
        "checkbox_label_background_fill": "var(--card)",
        "checkbox_label_background_fill_hover": "var(--card)",
        "checkbox_label_background_fill_selected": "var(--accent-soft)",
        "checkbox_label_text_color": "var(--ink)",
        "checkbox_label_text_color_selected": "var(--ink)",
        "checkbox_label_border_color": "var(--line)",
        "checkbox_label_border_color_hover": "var(--soft)",
        "checkbox_label_border_color_selected": "var(--accent)",
        "checkbox_label_shadow": "none",
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent-strong)",
        "button_primary_text_color": "var(--on-accent)",
        "button_primary_text_color_hover": "var(--on-accent)",
        "button_primary_border_color": "transparent",
        "button_primary_border_color_hover": "transparent",
        "button_secondary_background_fill": "transparent",
        "button_secondary_background_fill_hover": "var(--hover)",
        "button_secondary_text_color": "var(--ink)",
        "button_secondary_text_color_hover": "var(--ink)",
        "button_secondary_border_color": "var(--edge)",
        "button_secondary_border_color_hover": "var(--soft)",
        "button_cancel_background_fill": "transparent",
        "button_cancel_background_fill_hover": "var(--bad-soft)",
        "button_cancel_text_color": "var(--bad)",
        "button_cancel_text_color_hover": "var(--bad)",
        "button_cancel_border_color": "var(--bad)",
        "button_border_width": "1px",
        "button_primary_shadow": "none",
        "button_secondary_shadow": "none",
        "button_transform_hover": "none",
        "slider_color": "var(--accent)",
        "loader_color": "var(--accent)",
        "stat_background_fill": "var(--accent-soft)",
        "table_even_background_fill": "var(--card)",
        "table_odd_background_fill": "var(--card)",
        "table_border_color": "var(--line)",
        "table_row_focus": "var(--accent-soft)",
        "table_text_color": "var(--ink)",
        "error_background_fill": "var(--bad-soft)",
        "error_border_color": "var(--bad)",
        "error_text_color": "var(--bad)",
        "error_icon_color": "var(--bad)",
        "accordion_text_color": "var(--ink)",
    }
    variables = set(dir(look))
    for name, value in values.items():
        setattr(look, name, value)
        if f"{name}_dark" in variables:
            setattr(look, f"{name}_dark", value)
    return look
