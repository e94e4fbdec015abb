"""A check as one HTML file that needs no network; its body is shown in the app too."""

from __future__ import annotations

from typing import Any

from crop_core.io.html_templates import SHARED, html_templates
from crop_core.records.check import CheckReport
from crop_core.records.check_table import PROOFS, proof_cells, sections, verdict, what_to_report

TEMPLATES = html_templates(SHARED)


def check_page(report: CheckReport) -> str:
    """The whole file."""
    return TEMPLATES.get_template("check_page.html").render(**_parts(report))


def check_body(report: CheckReport) -> str:
    """The part between heading and end of the page, as HTML."""
    return TEMPLATES.get_template("check_body.html").render(**_parts(report))


def _parts(report: CheckReport) -> dict[str, Any]:
    return {
        "title": f"Check of {report.environment['model']}",
        "verdict": what_to_report(report) or verdict(report),
        "failed": bool(report.failed),
        "head": PROOFS,
        "proofs": [proof_cells(proof) for proof in report.proofs],
        "sections": sections(report),
        "facts": report.environment,
    }
