"""Theme of the page on system fonts. Nothing is fetched from other hosts."""

from __future__ import annotations

import gradio as gr

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Liberation Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


def theme() -> gr.themes.Base:
    """Gradio theme in slate and blue, with local fonts only."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        secondary_hue=gr.themes.colors.sky,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f6f8fa",
        body_background_fill_dark="#0e141b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#161e27",
        block_border_color="#dfe5ec",
        block_border_color_dark="#2a3542",
        block_label_text_color="#475569",
        block_label_text_color_dark="#b6c2d0",
        body_text_color_subdued="#4b5a6b",
        body_text_color_subdued_dark="#a9b6c5",
        block_info_text_color="#4b5a6b",
        block_info_text_color_dark="#a9b6c5",
        link_text_color="#00619a",
        link_text_color_hover="#00517f",
        link_text_color_active="#00619a",
        link_text_color_visited="#00619a",
        button_primary_background_fill="#00619a",
        button_primary_background_fill_hover="#00517f",
        button_primary_background_fill_dark="#0072b2",
        button_primary_background_fill_hover_dark="#0a84c8",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
    )
