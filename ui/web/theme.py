"""Gradio's own components in our colors. Every value is a variable of static/style.css, the one source of the look,
light and dark."""

import gradio as gr

SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
VALUES = {  # a value, and the variables of gradio that take it, in light and dark
    "var(--paper)": "body_background_fill background_fill_secondary",
    "var(--ink)": (
        "body_text_color block_title_text_color checkbox_label_text_color checkbox_label_text_color_selected "
        "button_secondary_text_color button_secondary_text_color_hover table_text_color accordion_text_color"
    ),
    "var(--soft)": (
        "body_text_color_subdued block_label_text_color block_info_text_color input_border_color_hover "
        "checkbox_border_color_hover checkbox_label_border_color_hover button_secondary_border_color_hover"
    ),
    "var(--card)": (
        "background_fill_primary checkbox_label_background_fill checkbox_label_background_fill_hover "
        "table_even_background_fill table_odd_background_fill"
    ),
    "var(--line)": "border_color_primary checkbox_label_border_color table_border_color",
    "var(--accent)": (
        "border_color_accent color_accent primary_500 secondary_500 link_text_color link_text_color_hover "
        "link_text_color_visited link_text_color_active input_border_color_focus "
        "checkbox_background_color_selected checkbox_border_color_focus checkbox_border_color_selected "
        "checkbox_label_border_color_selected button_primary_background_fill slider_color loader_color"
    ),
    "var(--accent-soft)": (
        "color_accent_soft checkbox_label_background_fill_selected stat_background_fill table_row_focus"
    ),
    "var(--calm-soft)": "code_background_fill",
    "transparent": (
        "block_background_fill block_label_background_fill panel_background_fill button_primary_border_color "
        "button_primary_border_color_hover button_secondary_background_fill button_cancel_background_fill"
    ),
    "0px": "block_border_width block_padding panel_border_width",
    "600": "block_title_text_weight",
    "none": (
        "block_shadow input_shadow checkbox_label_shadow button_primary_shadow button_secondary_shadow "
        "button_transform_hover"
    ),
    "500": "section_header_text_weight",
    "var(--field)": "input_background_fill input_background_fill_focus checkbox_background_color",
    "1px": "input_border_width button_border_width",
    "var(--edge)": "input_border_color checkbox_border_color button_secondary_border_color",
    "var(--faint)": "input_placeholder_color",
    "0 0 0 3px var(--ring)": "input_shadow_focus",
    "var(--accent-strong)": "button_primary_background_fill_hover",
    "var(--on-accent)": "button_primary_text_color button_primary_text_color_hover",
    "var(--hover)": "button_secondary_background_fill_hover",
    "var(--bad-soft)": "button_cancel_background_fill_hover error_background_fill",
    "var(--bad)": (
        "button_cancel_text_color button_cancel_text_color_hover button_cancel_border_color "
        "error_border_color error_text_color error_icon_color"
    ),
}


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
        for name in names.split():
            setattr(look, name, value)
            if f"{name}_dark" in variables:
                setattr(look, f"{name}_dark", value)
    return look
