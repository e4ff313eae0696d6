"""The page's Gradio theme: the tokens of the studio, so that Gradio's own pieces (login, toasts) look like the rest.

In: nothing. Out: a `gr.themes.Base`. No web fonts: the system's own typeface.
"""

from __future__ import annotations

import gradio as gr

FONTS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
INK = gr.themes.Color(
    "#fbfaf8", "#f2f0ec", "#e3e0da", "#cfccc6", "#a8a6a1", "#8b8a86", "#5b5f69", "#3a3e46", "#23262c", "#1c1f24", "#15171b", name="ink"
)
ACCENT = gr.themes.Color(
    "#e9eefd", "#d3defb", "#b5c6f8", "#8aa6ff", "#5f82f3", "#2f5bea", "#264bc4", "#1f3d9f", "#1a337f", "#162a66", "#101f4a", name="accent"
)


class Studio(gr.themes.Base):
    """Ink on paper, one accent, hair-thin lines, almost no shadow."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=ACCENT,
            secondary_hue=ACCENT,
            neutral_hue=INK,
            font=FONTS,
            font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
            radius_size=gr.themes.sizes.radius_md,
        )
        super().set(
            body_background_fill="#fbfaf8", body_background_fill_dark="#15171b", body_text_color="#16181d", body_text_color_dark="#e9e7e2",
            body_text_color_subdued="#5b5f69", body_text_color_subdued_dark="#a5a8b0", block_background_fill="#ffffff", block_background_fill_dark="#1c1f24",
            block_border_color="#e3e0da", block_border_color_dark="#2f333a", block_shadow="none", input_background_fill="#ffffff", input_background_fill_dark="#1c1f24",
            button_primary_background_fill="#2f5bea", button_primary_background_fill_dark="#8aa6ff", button_primary_text_color="#ffffff", button_primary_text_color_dark="#10131a",
            link_text_color="#2f5bea", link_text_color_dark="#8aa6ff",
        )  # fmt: skip
