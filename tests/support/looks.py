"""How a page looks to everybody: images of it at three widths in both themes, what axe finds, what does not fit."""

from __future__ import annotations

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support import ROOT

FOLDER = Path(os.environ.get("CROP_SHOTS") or ROOT / "build" / "screenshots")
SIZES = {"desktop": (1400, 1000), "tablet": (820, 1100), "phone": (390, 844)}
THEMES = ("light", "dark")
GRADIOS = ('nested-interactive at button[aria-label="Add images"]',)  # its File has a button in a button
FITS = """() => [...document.querySelectorAll('.js-plotly-plot')].every((chart) => !chart.clientWidth ||
  [...chart.querySelectorAll('.main-svg')].every((drawn) => drawn.clientWidth <= chart.clientWidth + 1))"""
TALLEST = 9000  # pixels of an image


def images(page: Page, name: str) -> list[str]:
    """Keeps FOLDER/name-WIDTH-THEME.png, six of them; returns what is wrong, a line each. The page is as before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wrong = []
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", theme == "dark")
            page.mouse.move(0, 0)
            where = f"{name}-{size}-{theme}"
            page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            page.wait_for_function(FITS)
            tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
            clip = {"x": 0, "y": 0, "width": width, "height": tall}
            page.screenshot(path=FOLDER / f"{where}.png", full_page=True, clip=clip, animations="disabled")
            beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            wrong += [f"{where}: {beyond} pixels wider than the screen"] if beyond > 0 else []
            violated = [line for line in violations(page) if not line.startswith(GRADIOS)]
            wrong += [f"{where}: {line}" for line in violated]
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.evaluate("document.body.classList.remove('dark')")
    return wrong


def violations(page: Page) -> list[str]:
    """What axe finds, "RULE at ELEMENT: WHY"."""
    violated = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']} at {' '.join(map(str, node['target']))}: {_why(node)}"
        for rule in violated
        for node in rule["nodes"]
    ]


def _why(node: dict[str, list[dict[str, str]]]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
