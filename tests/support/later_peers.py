"""Rules of the peers of 2025 and 2026 read literally, slowly: the groups of tokens that an image leaves at a count."""

import math

import numpy as np

from tests.support.layouts import cosine


def covering(similar, count, weight):
    """Places of the columns that cover the rows best, one after the other."""
    covered, chosen = [0.0] * len(similar), []
    while len(chosen) < count:
        gains = {
            place: weight[place] * sum(max(0.0, row[place] - own) for row, own in zip(similar, covered, strict=True))
            for place in range(len(weight))
            if place not in chosen
        }
        chosen.append(max(gains, key=gains.get))
        covered = [max(own, row[chosen[-1]]) for row, own in zip(similar, covered, strict=True)]
    return {frozenset([place]) for place in chosen}


def cosines(rows, others):
    return [[cosine(one, other) for other in others] for one in rows]


def literal_scope(image, count):
    rows = image.features().tolist()
    return covering(cosines(rows, rows), count, image.tower().attention.tolist())


def softmax(values):
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def literal_mmtok(image, count):
    rows, words = image.features().tolist(), image.question().tolist()
    asked = [[each / len(words) for each in softmax([c / 0.02 for c in row])] for row in cosines(words, rows)]
    seen = [[0.5 * each / len(rows) for each in softmax([c / 0.2 for c in row])] for row in cosines(rows, rows)]
    return covering(asked + seen, count, [1.0] * len(rows))


def score(tokens, attention):
    """Mean score of a part as the released code has it, the variance of cosines included."""
    if len(tokens) == 1:
        return 1.09 * 1e3 * attention[0]
    likeness = np.array(cosines(tokens, tokens)) * (1 - np.eye(len(tokens)))
    mean = likeness.sum(1) / (len(tokens) - 1)
    variance = ((likeness - mean[:, None]) ** 2).sum(1) / (len(tokens) - 1)
    scaled = np.array(attention) * 1e3
    return float((scaled + 0.09 * variance * np.abs(scaled).mean() / (np.abs(variance).mean() + 1e-6)).mean())


def literal_holov(image, count):
    """Part by part; what a full part cannot hold goes to those with room, the best first."""
    rows, attention = image.features().tolist(), image.tower().attention.tolist()
    size, longer = divmod(len(rows), 16)
    parts, start = [], 0
    for number in range(16):
        end = start + size + (number < longer)
        parts += [list(range(start, end))] if end > start else []
        start = end
    scores = [score([rows[place] for place in part], [attention[place] for place in part]) for part in parts]
    numbers = [min(len(part), int(each / sum(scores) * count)) for part, each in zip(parts, scores, strict=True)]
    while sum(numbers) < count:
        for number in sorted(range(len(parts)), key=lambda number: -scores[number]):
            if sum(numbers) < count and numbers[number] < len(parts[number]):
                numbers[number] += 1
    best = [sorted(part, key=lambda place: -attention[place]) for part in parts]
    return {frozenset([place]) for part, own in zip(best, numbers, strict=True) for place in part[:own]}


def literal_downsample(image, count):
    """Of tokens that are no whole grid: one row, cut into windows."""
    total = len(image.layout.row)
    return {frozenset(p for p in range(total) if p * count // total == number) for number in range(count)}


LATER = {"scope": literal_scope, "mmtok": literal_mmtok, "holov": literal_holov, "downsample": literal_downsample}
