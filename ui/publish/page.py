"""A whole run as one HTML file: the explorer itself with the run inside, and what is known of it. Needs no network.

The page's policy lets nothing be fetched; questions and answers are text wherever they are shown.
"""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from ui import palette, theme
from ui.publish.metadata import facts

if TYPE_CHECKING:
    from crop_core.records import Comparison
    from ui.payload import View

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 1400px; padding: 16px; font: 15px/1.5 system-ui, sans-serif; background: #f6f8fa;
  color: #16202b }
.dark body { background: #0e141b; color: #e6ecf2 }
h1 { font-size: 20px } h2 { font-size: 16px }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 18px }
dt { font-weight: 600 } dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 640px) { dl { grid-template-columns: minmax(0, 1fr) } dd { margin-bottom: 6px } }
"""
BOOT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const look = () => document.documentElement.classList.toggle("dark", dark.matches);
const explorer = new Explorer(document.getElementById("run"));
dark.addEventListener("change", () => { look(); explorer.redraw(); });
look();
explorer.update(JSON.parse(document.getElementById("payload").textContent));
"""


def page(view: View, result: Comparison) -> bytes:
    """The file."""
    payload = json.dumps(replace(view, fixed=True).to_json()).replace(
        "<", "\\u003c"
    )  # nothing in it ends the element that it stands in
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts(result).items())
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CROP Explorer: {escape(result.question)}</title>
<style>{palette.as_css()}
{theme.read("explorer.css")}{STYLE}</style></head>
<body><h1>CROP Explorer</h1>
<div id="run"></div>
<h2>What was run</h2>
<dl>{rows}</dl>
<script id="payload" type="application/json">{payload}</script>
<script>{theme.explorer_script()}{BOOT}</script>
</body></html>
"""
    return text.encode()
