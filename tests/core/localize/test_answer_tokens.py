"""Formats in words, and in the tokens of byte-level tokenizers as real models have them."""

from functools import cache

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from crop_core.localize.decoding.answer_formats import BOXES, BRACKETS, DIGITS
from crop_core.localize.decoding.answer_tokens import ConstrainedDecodingError, NumberTrie, tokenize_answers
from crop_core.localize.text_vlm import snapped

PIXELS, THOUSANDTHS = BOXES["qwen2_5_vl"], BOXES["qwen3_vl"]
SIZE = (644, 476)
QWEN = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CHUNKS = r"\p{N}{1,3}|[^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"
JOINED = r"[\p{N},]+|[^\p{N},]+"


@cache
def tokenizer(words, trim=False):
    """Byte-level BPE with a tokenizer's rule for words, trained until answers are written in few tokens."""
    rules = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(words), "isolated")
    rules.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    rules.post_processor = processors.ByteLevel(trim_offsets=trim)
    rules.decoder = decoders.ByteLevel()
    forms = (PIXELS, THOUSANDTHS, BRACKETS)
    texts = [form.say([number] * 4) for form in forms for number in range(len(form.cells(SIZE)[0]))]
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    rules.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=rules)


def test_cells_are_those_of_the_snapped_box():
    """Every number that can be written is of the cell that its box begins or ends with."""
    for form in (BRACKETS, THOUSANDTHS, PIXELS):
        x0s, y0s, x1s, y1s = form.cells(SIZE)
        assert all(set(cells) == set(range(8)) for cells in (x0s, y0s, x1s, y1s))
        for x in range(len(x0s) - 1):
            for y in {0, x % len(y0s), len(y0s) - 1}:
                near = snapped(form.fractions((x, y, len(x1s) - 1, len(y1s) - 1), SIZE), *SIZE)
                assert (near.x0, near.y0) == (x0s[x], y0s[y])
                far = snapped(form.fractions((0, 0, x + 1, y), SIZE), *SIZE)
                assert (far.x1, far.y1) == (x1s[x + 1], y1s[y])


def test_words():
    assert BRACKETS.say([1, 2, 3, 4]) == "[1, 2, 3, 4]"
    assert '{"bbox_2d": [1, 2, 3, 4], "label"' in PIXELS.say([1, 2, 3, 4])
    assert BRACKETS.ask("what {x}?").endswith("what {x}?")
    assert DIGITS.ask("what?") == "what?"


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize(
    ("form", "words"),
    [(BRACKETS, QWEN), (BRACKETS, GPT2), (BRACKETS, CHUNKS), (PIXELS, QWEN), (THOUSANDTHS, QWEN)],
    ids=["cells", "cells, space first", "cells, three digits", "pixels", "thousandths"],
)
def test_the_parts_are_the_tokens_of_whole_answers(form, words, trim):
    tokens = tokenizer(words, trim)
    result = tokenize_answers(tokens, form, SIZE, "x")
    assert [len(trie.numbers) for trie in result.numbers] == list(map(len, form.cells(SIZE)))
    for numbers in [(0, 0, 0, 0), (1, 2, 5, 6), (0, 7, 3, 7), (17, 230, 401, 476), (99, 100, 101, 10)]:
        if max(numbers) < len(result.numbers[0].numbers):
            spelled = list(result.opening)
            for index, number in enumerate(numbers):
                spelled += [*result.numbers[index].numbers[number], *result.behind[index]]
            assert spelled == tokens.encode(form.say(numbers), add_special_tokens=False)
    assert result.single_token == (form is BRACKETS)


def test_numbers_that_are_joined_are_refused():
    for form, words in [(BRACKETS, JOINED), (PIXELS, GPT2), (THOUSANDTHS, CHUNKS)]:  # the last two join digits
        with pytest.raises(ConstrainedDecodingError, match="x cannot decode constrained answers"):
            tokenize_answers(tokenizer(words), form, SIZE, "x")


def test_a_tokenizer_that_does_not_say_where_its_tokens_end_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ConstrainedDecodingError, match="gives no token offsets"):
        tokenize_answers(Slow(), BRACKETS, SIZE, "x")


def test_a_trie_holds_what_several_numbers_begin_with():
    trie = NumberTrie.of([(1,), (1, 2), (1, 2, 3), (3, 2), (4,)])
    assert (trie.tokens, trie.parents, trie.depths) == ((1, 3, 2), (0, 0, 1), [1, 1, 2])
    assert trie.paths == ((1,), (1, 3), (1, 3), (2,), ())
    assert trie.ancestry().tolist() == [[True, False, False], [False, True, False], [True, False, True]]
    table = np.log(np.array([[0.1, 0.2, 0.3, 0.4, 0.6], [0.5, 0.1, 1, 1, 0.7], [1, 1, 1, 1, 1], [1, 1, 0.9, 1, 0.8]]))
    result = trie.scores(table, {1: 0, 2: 1, 3: 2, 4: 3, 9: 4}, end=9)
    assert np.exp(result) == pytest.approx([0.1 * 0.7, 0.1 * 0.1 * 0.8, 0.1 * 0.1 * 0.9, 0.3, 0.4])
