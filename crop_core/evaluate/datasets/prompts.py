"""How questions are put: the requests that LLaVA-1.5's evaluation appends, which others took over.

As in docs/Evaluation.md of github.com/haotian-liu/LLaVA, each on a line of its own.
"""

from __future__ import annotations

from typing import Any

from crop_core.io.images import check_question

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
MAX_QUESTION_CHARS = 8000  # characters, about 2000 tokens: benchmarks ask longer questions than people type


def with_request(question: Any, request: str = SHORT) -> str:
    """The question, line by line cleaned, and the request below it; QuestionError for none and for one too long."""
    given = question.splitlines() if isinstance(question, str) else []
    lines = [check_question(line, MAX_QUESTION_CHARS) for line in given if line.strip()]
    if not lines or sum(map(len, lines)) > MAX_QUESTION_CHARS:
        check_question(question, MAX_QUESTION_CHARS)  # raises
    return "\n".join([*lines, request] if request else lines)
