"""QR code of the link to a run, for a class."""

from __future__ import annotations

import segno

from ui.views.rendering import render

MAX_LINK = 600  # characters; more give a code too fine for a phone


def qr_html(link: str | None) -> str:
    """QR code of a web address as HTML; empty for anything else (it comes from the browser) and beyond MAX_LINK."""
    if not link or not link.startswith(("http://", "https://")) or len(link) > MAX_LINK:
        return ""
    return render("qr_code", segno.make(link, error="l", micro=False).svg_data_uri(border=4, light="#fff"))
