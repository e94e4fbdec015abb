"""Latency of the app in a real browser: from the click on an example to both answers and all images rendered.

Starts app.py with the bundled models (or with those that CROP_MODEL and CROP_LOCALIZER name), clicks each example a few
times in chromium and prints a table. A benchmark, not a test: it has no assertions.

    python -m benchmarks.app_latency [--rounds 3] [--url http://127.0.0.1:7860/]
"""

from __future__ import annotations

import argparse
import os
import sys

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.app_process import app_process

CHROMIUM = os.environ.get("CROP_CHROMIUM", "/usr/bin/chromium")
# Timed inside the page, so that the test driver's own delays are not counted. The attribute is set after the last
# canvas is painted, before anything is measured; two animation frames later the screen shows it. An earlier answer must
# have been cleared first.
CLOCK = """(index) => new Promise((resolve) => {
  const root = document.querySelector('.cx');
  const began = performance.now();
  let answered = null, fresh = !root.dataset.drawn;
  const check = () => {
    if (!root.dataset.drawn) fresh = true;
    const first = document.querySelector('.cx-card.cx-baseline .cx-answer').textContent;
    if (fresh && answered === null && first !== '—' && first !== '…') answered = performance.now() - began;
    if (!fresh || !root.dataset.drawn) return;
    watcher.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve([answered, performance.now() - began])));
  };
  const watcher = new MutationObserver(check);
  watcher.observe(root, { attributes: true, childList: true, characterData: true, subtree: true });
  document.querySelectorAll('.ex-button')[index].click();
})"""


def clicks(page: Page, rounds: int) -> list[tuple[float, float]]:
    """(seconds to the first words, to everything rendered) of `rounds` clicks on each example, after a warm-up."""
    count = page.locator(".ex-button").count()
    page.evaluate(CLOCK, 0)
    times = []
    for click in range(rounds * count):
        page.locator(".cx[data-stage=done]").wait_for()  # the previous click's runs are measured
        page.wait_for_timeout(300)  # and its figures and downloads made
        first, everything = page.evaluate(CLOCK, click % count)
        times.append((first / 1000, everything / 1000))
    return times


def measure(url: str, rounds: int) -> list[tuple[float, float]]:
    """`clicks` in a fresh desktop-sized browser."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(url)
        page.locator(".ex-button").first.wait_for()
        page.locator(".cx[data-stage=empty]").wait_for()
        times = clicks(page, rounds)
        browser.close()
    return times


def table(times: list[tuple[float, float]]) -> str:
    """Median, 90th percentile and worst of both times."""
    lines = [f"{len(times)} clicks, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"]
    lines.append(f"{'from the click to':24}{'median':>9}{'p90':>9}{'worst':>9}")
    for name, values in zip(("the first words", "everything rendered"), zip(*times, strict=True), strict=True):
        figures = np.quantile(values, (0.5, 0.9, 1.0), method="nearest")
        lines.append(f"{name:24}" + "".join(f"{value:8.2f}s" for value in figures))
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.app_latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="clicks on every example (default: 3)")
    parser.add_argument("--url", help="an app that is already running (default: start one)")
    arguments = parser.parse_args()
    if arguments.url:
        times = measure(arguments.url, arguments.rounds)
    else:
        with app_process() as (url, _):
            times = measure(url, arguments.rounds)
    sys.stdout.write(table(times) + "\n")


if __name__ == "__main__":
    main()
