"""Every colour of the explorer, used by JavaScript, CSS, figures and Plotly.

The hues are Okabe and Ito's, distinct with the common kinds of colour blindness.
"""

from __future__ import annotations

REGION = "#0072b2"
RINGS = ("#009e73", "#e69f00", "#cc79a7", "#8a6fb0")
HATCHES = ("lying", "none", "rising", "falling", "crossed")  # of the region, and of rings from near to far
CUT = "#d55e00"
VEIL = "#e5e9ef"
BASELINE = "#7b8794"
CROP = "#0072b2"
LOCALIZER = "#56b4e9"
STAGES = {
    "localizer_s": LOCALIZER,
    "encode_s": "#7b8794",
    "compression_s": "#009e73",
    "scoring_s": "#e69f00",
    "prefill_s": "#0072b2",
    "decode_s": "#cc79a7",
}


def ring_colour(ring: int) -> str:
    """Hex colour of a PLC ring: 0 is the region, 1 the nearest ring; rings beyond the palette share its last colour."""
    return REGION if ring == 0 else RINGS[min(ring, len(RINGS)) - 1]


def ring_hatch(ring: int) -> str:
    """Hatch of a PLC ring, one of HATCHES: 0 is the region; rings beyond the list share its last hatch."""
    return HATCHES[min(max(ring, 0), len(HATCHES) - 1)]


METHODS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b07d00", "#7b8794")
DASHES = ("solid", "dash", "dot", "dashdot")


def method_colour(place: int) -> str:
    """Hex colour of the method at this index."""
    return METHODS[place % len(METHODS)]


def method_dash(place: int) -> str:
    """Plotly's dash of the method at this index, so that lines differ in grey too."""
    return DASHES[place % len(DASHES)]


def as_css() -> str:
    """The palette as CSS variables --cx-NAME, which static/js/palette.js reads too; --cx-rings and --cx-hatches are
    lists.
    """
    named = {"region": REGION, "cut": CUT, "veil": VEIL, "rings": " ".join(RINGS), "hatches": " ".join(HATCHES)}
    bars = {"baseline": BASELINE, "crop": CROP, "localizer": LOCALIZER}
    return ":root {" + " ".join(f"--cx-{name}: {colour};" for name, colour in {**named, **bars}.items()) + "}"
