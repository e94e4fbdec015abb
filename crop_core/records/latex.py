"""LaTeX of texts and tables. Knows nothing of records."""

from __future__ import annotations

from collections.abc import Sequence

ESCAPES = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "“": "``",
    "”": "''",
    "–": "--",
    "…": r"\ldots{}",
    "×": r"$\times$",
}


def escaped(text: str) -> str:
    """A text that LaTeX prints as it is; letters beyond ASCII need its usual UTF-8."""
    printable = (letter if letter.isprintable() else " " for letter in text)
    return "".join(ESCAPES.get(letter, letter) for letter in printable)


def tabular(head: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], columns: str) -> str:
    """A tabular of escaped cells, with the rules of booktabs around the head and between groups of rows.

    columns: one letter a column, r for numbers.
    """
    bodies = ["\n".join(_line(cells) for cells in rows) for rows in groups]
    return "\n".join(
        (
            r"% \usepackage{booktabs}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(head),
            r"\midrule",
            "\n\\midrule\n".join(bodies),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        )
    )


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
