"""Formats in words, and in the tokens of byte-level tokenizers as real models have them."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from crop_core.localize.formats import BOXES, BRACKETS, DIGITS
from crop_core.localize.spelling import FeedError, spelled

PIXELS, THOUSANDTHS = BOXES["qwen2_5_vl"], BOXES["qwen3_vl"]
SIZE = (644, 476)
QWEN = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CHUNKS = r"\p{N}{1,3}|[^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"
JOINED = r"[\p{N},]+|[^\p{N},]+"


def tokenizer(words, trim=False):
    """Byte-level BPE with a tokenizer's rule for words, trained until answers are written in few tokens."""
    rules = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(words), "isolated")
    rules.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    rules.post_processor = processors.ByteLevel(trim_offsets=trim)
    rules.decoder = decoders.ByteLevel()
    texts = [
        form.say(row) for form in (PIXELS, THOUSANDTHS, BRACKETS) for row in zip(*form.candidates(SIZE), strict=True)
    ]
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    rules.train_from_iterator(texts * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=rules)


def test_candidates_are_the_edges_of_the_grid():
    assert BRACKETS.candidates(SIZE) == [list("01234567")] * 4
    low, high = ["0", "125", "250", "375", "500", "625", "750", "875"], ["125", "250", "375", "500", "625"]
    assert THOUSANDTHS.candidates(SIZE)[0] == THOUSANDTHS.candidates(SIZE)[1] == low
    assert THOUSANDTHS.candidates(SIZE)[2] == THOUSANDTHS.candidates(SIZE)[3] == [*high, "750", "875", "1000"]
    left, top, right, bottom = PIXELS.candidates(SIZE)
    assert (left[0], top[1], right[-1], bottom[-1]) == ("0", "60", "644", "476")


def test_fractions_undo_the_candidates():
    for form in (BRACKETS, THOUSANDTHS, PIXELS):
        for cell, numbers in enumerate(zip(*form.candidates(SIZE), strict=True)):
            found = form.fractions(list(map(int, numbers)), SIZE)
            assert found == pytest.approx([cell / 8, cell / 8, (cell + 1) / 8, (cell + 1) / 8], abs=2e-3)


def test_words():
    assert BRACKETS.say([1, 2, 3, 4]) == "[1, 2, 3, 4]"
    assert '{"bbox_2d": [1, 2, 3, 4], "label"' in PIXELS.say([1, 2, 3, 4])
    assert BRACKETS.ask("what {x}?").endswith("what {x}?")
    assert DIGITS.ask("what?") == "what?"


@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize("words", [QWEN, GPT2, CHUNKS])
@pytest.mark.parametrize("form", [BRACKETS, PIXELS, THOUSANDTHS], ids=lambda form: form.unit)
def test_the_parts_are_the_tokens_of_whole_answers(form, words, trim):
    tokens = tokenizer(words, trim)
    found = spelled(tokens, form, SIZE, "x")
    candidates = form.candidates(SIZE)
    for cells in [(0, 0, 0, 0), (1, 2, 5, 6), (0, 7, 3, 7)]:
        told = list(found.opening)
        for index, cell in enumerate(cells):
            told += [*found.numbers[index][cell], *found.behind[index]]
        answer = form.say([candidates[index][cell] for index, cell in enumerate(cells)])
        assert told == tokens.encode(answer, add_special_tokens=False)
    assert found.lone == all(len(each) == 1 for row in found.numbers for each in row)


def test_digits_are_not_alone_where_a_number_has_several():
    assert spelled(tokenizer(QWEN), BRACKETS, SIZE, "x").lone
    assert len(spelled(tokenizer(QWEN), THOUSANDTHS, SIZE, "x").numbers[0][1]) == 3  # 125


def test_numbers_that_are_joined_with_what_follows_are_refused():
    with pytest.raises(FeedError, match="x cannot be fed"):
        spelled(tokenizer(JOINED), BRACKETS, SIZE, "x")


def test_a_tokenizer_that_does_not_say_where_its_tokens_end_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(FeedError, match="does not tell"):
        spelled(Slow(), BRACKETS, SIZE, "x")
