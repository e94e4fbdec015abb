"""From measured throughput to workers and their price: the tables of docs/sizing.md, with the arithmetic that it tells.

    python bench/sizing.py [--answers-per-second 0.5] [--price 0.10] [--peak 4] [--used 0.7]

Reads bench/results/load.json where no throughput is given, and writes the tables between the marks of docs/sizing.md;
`--print` prints them alone. Prices are assumptions of whoever runs this: nobody is asked for them.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEASURED, PAGE = ROOT / "bench" / "results" / "load.json", ROOT / "docs" / "sizing.md"
QUESTIONS = (100, 10_000, 1_000_000)  # a day
SECONDS = (1, 3, 10)  # that a question of a larger model may keep its worker
DAY, HOUR = 86_400, 3_600
MARKS = "<!-- {} (bench/sizing.py writes this) -->"


@dataclass(frozen=True)
class Plan:
    """peak: the busiest hour's questions, in parts of the mean hour's. used: share of its time that a worker works, so
    that lines stay short. price: of a worker's hour.
    """

    peak: float = 4
    used: float = 0.7
    price: float = 0.10

    def workers(self, questions: float, per_second: float) -> int:
        """For the busiest hour of a day of so many questions, where one worker answers so many a second; at least 1."""
        return max(1, math.ceil(questions / DAY * self.peak / (per_second * self.used)))

    def hours(self, questions: float, per_second: float) -> float:
        """Of all workers in a day, where there are as many as are needed, and one at all times."""
        return max(24, questions / per_second / self.used / HOUR)

    def row(self, questions: float, per_second: float) -> str:
        """One line of a table."""
        workers, hours = self.workers(questions, per_second), self.hours(questions, per_second)
        fixed, scaled = (self.price * each for each in (24 * workers, min(hours, 24 * workers)))
        busiest = questions / DAY * self.peak
        return f"| {questions:,} | {busiest:.4g} | {workers:,} | {fixed:,.2f} | {scaled:,.2f} |"

    def table(self, per_second: float) -> str:
        """For every number of questions."""
        names = ("questions a day", "a second in the busiest hour", "workers", "a day, always on", "a day, autoscaled")
        head = f"| {' | '.join(names)} |"
        return "\n".join([head, "| --: | --: | --: | --: | --: |", *(self.row(each, per_second) for each in QUESTIONS)])

    def larger(self) -> str:
        """Workers by the seconds of a question."""
        rows = [
            f"| {each:,} | " + " | ".join(f"{self.workers(each, 1 / seconds):,}" for seconds in SECONDS) + " |"
            for each in QUESTIONS
        ]
        head = "| questions a day | " + " | ".join(f"{each} s a question" for each in SECONDS) + " |"
        return "\n".join([head, "| --: |" + " --: |" * len(SECONDS), *rows])


def filled(text: str, parts: dict[str, str]) -> str:
    """The page with each part between its marks."""
    for name, part in parts.items():
        start, end = (re.escape(MARKS.format(f"{which} {name}")) for which in ("begin", "end"))
        pattern = rf"({start}\n).*?(\n{end})"
        text, found = re.subn(pattern, lambda match, part=part: match[1] + part + match[2], text, flags=re.DOTALL)  # type: ignore[misc]
        if not found:
            raise ValueError(f"{PAGE.name} has no place for {name!r}.")
    return text


def main() -> None:
    """Writes or prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers-per-second", type=float, help="of one worker (default: as measured)")
    for name, value in (("price", Plan.price), ("peak", Plan.peak), ("used", Plan.used)):
        parser.add_argument(f"--{name}", type=float, default=value, help=f"default: {value:g}")
    parser.add_argument("--print", action="store_true", help="print the tables, write nothing")
    options = parser.parse_args()
    plan = Plan(options.peak, options.used, options.price)
    per_second = options.answers_per_second or json.loads(MEASURED.read_text())["answered_per_s"]
    assumed = f"`peak` {plan.peak:g}, `used` {plan.used:g}, `price` {plan.price:g}"
    known = f"`c` = {per_second:g} answers a second; {assumed}:"
    parts = {"measured": f"{known}\n\n{plan.table(per_second)}", "larger": plan.larger()}
    if options.print:
        sys.stdout.write("\n\n".join(parts.values()) + "\n")
    else:
        PAGE.write_text(filled(PAGE.read_text(), parts))


if __name__ == "__main__":
    main()
