"""Chat rows of fine-tuning kits as rows of an image, a question and its answer."""

import base64

import pytest

from crop_core.io.chat_rows import image_of, unfolded
from crop_core.io.text_files import RowsError

TURNS = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "<image>what is red?"},
    {"role": "assistant", "content": "a dog"},
    {"role": "user", "content": "and blue?"},
]
PARTS = [
    {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "what is red?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "a dog"}]},
]
LLAVA = [{"from": "human", "value": "<image>\nwhat is red?"}, {"from": "gpt", "value": "a dog"}]
ADDRESS = [{"type": "text", "text": "what is red?"}, {"type": "image_url", "image_url": {"url": "a.png"}}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TURNS, "images": ["a.png"]},
        {"messages": TURNS[1:], "image": "a.png"},
        {"messages": TURNS, "images": [{"path": "a.png", "bytes": None}]},
        {"messages": PARTS},
        {"messages": PARTS, "images": []},
        {"conversations": LLAVA, "image": "a.png"},
        {"conversations": LLAVA, "image": ["a.png", "a.png###[1, 2, 3, 4]"]},
        {"messages": [{"role": "user", "content": ADDRESS}, {"role": "assistant", "content": "a dog"}]},
        {"messages": TURNS[:2], "image": "a.png", "answer": "a dog"},
        {"image": "a.png", "question": "what is red?", "answer": "a dog"},
    ],
)
def test_every_format_is_the_same_row(row):
    found = unfolded(row)
    assert (image_of(found), found["question"], found["answer"]) == ("a.png", "what is red?", "a dog")


def test_further_turns_are_counted():
    assert unfolded({"messages": TURNS, "images": ["a.png"]})["turns"] == 2
    assert unfolded({"conversations": LLAVA, "image": "a.png"})["turns"] == 1


def test_an_image_inside_the_row():
    url = "data:image/png;base64," + base64.b64encode(b"pixels").decode()
    assert image_of({"image": url}) == image_of({"images": [{"bytes": b"pixels", "path": "x"}]}) == b"pixels"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": TURNS[:1], "images": ["a.png"]}, "its messages hold no question; a turn is a role (user, assist"),
        ({"conversations": [{"from": "human", "value": "<image>"}]}, "its conversations hold no question"),
        ({"messages": "hello"}, "its messages hold no question"),
        ({"picture": "a.png", "text": "?"}, "it has no image and no question, but 'picture', 'text'; a row has image,"),
        ({"image": "a.png", "text": "?"}, "it has no question, but 'image', 'text'"),
    ],
)
def test_a_row_without_a_question_names_the_keys_that_are_needed(row, words):
    with pytest.raises(RowsError) as told:
        unfolded(row)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"images": ["a.png", "b.png"]}, "it has 2 images, and a question is asked about one"),
        ({"image": None}, "image None is not the path of an image"),
        ({"images": []}, r"image \[\] is not the path|image None is not the path"),
        ({"image": {"size": 3}}, "image None is not the path of an image"),
        ({"image": [3]}, "image 3 is not the path of an image"),
        (
            {"image": "data:image/png;base64,%%"},
            "image 'data:image/png;base64,%%' is broken: its base64 cannot be read",
        ),
    ],
)
def test_a_row_without_one_image_is_told(row, words):
    with pytest.raises(RowsError, match=words):
        image_of(row)
