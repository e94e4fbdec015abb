"""Hand-made answered questions for tests of the benchmark."""

from crop_core.bench.examiner import Reply, Sheet
from crop_core.region import Region


def region(x0, y0, x1, y1, confidence=None):
    return Region(x0, y0, x1, y1, width=80, height=80, source="predicted", confidence=confidence)


WHOLE = region(0, 0, 7, 7)


def sheet(kind="count", found=WHOLE, needed=WHOLE, everything=False, answer="2", **replies):
    said = {name.replace("_", " "): Reply(text, 64.0) for name, text in replies.items()}
    return Sheet(kind, answer, needed, everything, found, said)
