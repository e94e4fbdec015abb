from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crop_core.io.images import (
    MAX_ASPECT,
    MAX_PIXELS,
    MAX_QUESTION,
    MAX_SIDE,
    ImageError,
    QuestionError,
    check_question,
    open_image,
    reduced,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


@pytest.fixture(autouse=True)
def no_warning_comes_through():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def red_left() -> Image.Image:
    """40 x 20 pixels, the left half red, the right half blue."""
    image = Image.new("RGB", (40, 20), BLUE)
    image.paste(RED, (0, 0, 20, 20))
    return image


def file_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG written by hand, for headers and depths that Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def refused(source: object) -> str:
    """The message of an ImageError, after making sure that it is one sentence."""
    with pytest.raises(ImageError) as caught:
        open_image(source)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    return message


# -- what is read ----------------------------------------------------------------------------------------------------


def test_every_way_to_hand_in_an_image_gives_the_same(red_left: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "half red.png"
    red_left.save(path)
    expected = np.asarray(red_left)
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), red_left, expected):
        image = open_image(source)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_the_result_is_a_copy(red_left: Image.Image) -> None:
    open_image(red_left).putpixel((0, 0), GREEN)
    assert red_left.getpixel((0, 0)) == RED


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "ICO"])
def test_common_formats(kind: str, red_left: Image.Image) -> None:
    square = red_left.resize((32, 32), Image.Resampling.NEAREST)
    image = np.asarray(open_image(file_bytes(square, kind)), dtype=int)
    assert image.shape == (32, 32, 3)
    assert np.abs(image[16, 4] - RED).max() < 20
    assert np.abs(image[16, 28] - BLUE).max() < 20


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, (40, 20), (5, 10)),
        (2, (40, 20), (35, 10)),
        (3, (40, 20), (35, 10)),
        (4, (40, 20), (5, 10)),
        (5, (20, 40), (10, 5)),
        (6, (20, 40), (10, 5)),
        (7, (20, 40), (10, 35)),
        (8, (20, 40), (10, 35)),
    ],
)
def test_a_photo_is_turned_upright(
    orientation: int, size: tuple[int, int], red_at: tuple[int, int], red_left: Image.Image
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = file_bytes(red_left, "JPEG", exif=exif, quality=95)
    image = open_image(photo)
    assert image.size == size
    assert np.abs(np.asarray(image.getpixel(red_at)) - RED).max() < 20


def test_a_broken_exif_tag_does_not_hide_the_image(red_left: Image.Image) -> None:
    photo = file_bytes(red_left, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\x99\x99")
    assert open_image(photo).size == (40, 20)


def test_cmyk(red_left: Image.Image) -> None:
    image = open_image(file_bytes(red_left.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.asarray(image.getpixel((5, 10))) - RED).max() < 20
    assert np.abs(np.asarray(image.getpixel((35, 10))) - BLUE).max() < 20


def test_16_bit_grey_png_is_scaled_not_clipped() -> None:
    rows = b"".join(b"\x00" + struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF) for _ in range(2))
    image = open_image(png(4, 2, depth=16, color=0, rows=rows))
    assert [image.getpixel((x, 1))[0] for x in range(4)] == [0, 64, 128, 255]


def test_16_bit_rgb_png() -> None:
    row = b"\x00" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0x8000, 0xFFFF)
    image = open_image(png(2, 1, depth=16, color=2, rows=row))
    assert image.getpixel((0, 0)) == RED
    assert image.getpixel((1, 0)) == (0, 128, 255)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.uint16, [0, 32896, 65535], [0, 128, 255]),
        (np.int32, [0, 32896, 65535], [0, 128, 255]),
        (np.int32, [-1000, 0, 1000], [0, 128, 255]),
        (np.float32, [0.0, 0.5, 1.0], [0, 128, 255]),
        (np.float32, [0.0, np.nan, 4e6], [0, 0, 255]),
    ],
)
def test_deep_tiff(dtype: type, values: list[float], expected: list[int]) -> None:
    deep = Image.fromarray(np.array([values], dtype=dtype))
    image = open_image(file_bytes(deep, "TIFF"))
    assert [image.getpixel((x, 0))[0] for x in range(3)] == expected


def test_palette_and_bilevel(red_left: Image.Image) -> None:
    palette = open_image(file_bytes(red_left.quantize(4), "PNG"))
    assert palette.getpixel((5, 10)) == RED
    assert palette.getpixel((35, 10)) == BLUE
    bilevel = open_image(file_bytes(Image.new("1", (3, 3), 1), "PNG"))
    assert bilevel.getpixel((1, 1)) == WHITE


def test_transparency_lies_on_white() -> None:
    rgba = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    rgba.putpixel((1, 0), (*RED, 255))
    rgba.putpixel((2, 0), (*RED, 128))
    image = open_image(file_bytes(rgba, "PNG"))
    assert image.getpixel((0, 0)) == WHITE
    assert image.getpixel((1, 0)) == RED
    assert image.getpixel((2, 0)) == pytest.approx((255, 127, 127), abs=1)
    grey = open_image(file_bytes(Image.new("LA", (2, 2), (0, 0)), "PNG"))
    assert grey.getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
def test_a_palette_with_transparency_lies_on_white(transparency: int | bytes) -> None:
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([*BLUE, *RED])
    palette.putpixel((1, 0), 1)
    image = open_image(file_bytes(palette, "PNG", transparency=transparency))
    assert image.getpixel((0, 0)) == WHITE
    assert image.getpixel((1, 0)) == RED


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    moving = file_bytes(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert np.abs(np.asarray(open_image(moving).getpixel((8, 8))) - RED).max() < 20


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (MAX_ASPECT, 1), (3, 3 * MAX_ASPECT)])
def test_small_and_just_not_too_narrow(size: tuple[int, int]) -> None:
    image = open_image(file_bytes(Image.new("RGB", size, RED), "PNG"))
    assert image.size == size
    assert image.getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3), 255, np.uint8),
        np.full((2, 3, 1), 255, np.uint8),
        np.full((2, 3, 3), 65535, np.uint16),
        np.ones((2, 3), bool),
        np.ones((2, 3, 3), np.float32),
        np.full((2, 3, 4), [0, 0, 0, 0], np.uint8),
        np.full((3, 2, 3), 255, np.uint8).transpose(1, 0, 2),
    ],
)
def test_arrays(array: np.ndarray) -> None:
    image = open_image(array)
    assert image.size == (3, 2)
    assert image.getpixel((0, 0)) == WHITE


# -- what is refused -------------------------------------------------------------------------------------------------


def test_no_image() -> None:
    assert "choose one" in refused(None)
    assert "int" in refused(3)


def test_missing_file_folder_empty_file_and_device(tmp_path: Path) -> None:
    assert "no file" in refused(tmp_path / "nothing.png")
    for empty in ("", " "):
        assert "path of the image is empty" in refused(empty)
    assert "folder" in refused(tmp_path)
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "empty" in refused(empty)
    assert "empty" in refused(b"")
    assert "not an ordinary file" in refused(os.devnull)
    assert "cannot be read" in refused("x" * 5000)
    assert "address" in refused("https://example.org/cat.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_one_may_not_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(file_bytes(noise(), "PNG"))
    path.chmod(0)
    assert "cannot be read" in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        b"just some text\n" * 50,
        b"%PDF-1.7\n" + bytes(200),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",  # Pillow would start ghostscript
        bytes(1000),
    ],
)
def test_what_is_no_image(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "renamed.png"
    path.write_bytes(content)
    assert "'renamed.png' is not an image" in refused(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.3, 0.6])
def test_truncated_files(kind: str, part: float) -> None:
    whole = file_bytes(noise(), kind)
    message = refused(whole[: int(len(whole) * part)])
    assert "damaged" in message or "not an image" in message


def test_corrupt_png() -> None:
    whole = bytearray(file_bytes(noise(), "PNG"))
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    assert "damaged" in refused(bytes(whole))


def test_a_truncated_image_opened_by_the_caller() -> None:
    whole = file_bytes(noise(), "JPEG")
    with Image.open(io.BytesIO(whole[: len(whole) // 2])) as lazy:
        assert "damaged" in refused(lazy)


def test_a_strip_is_refused_since_a_model_would_see_a_line(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    Image.new("RGB", (20000, 10), RED).save(path)
    assert "20000 x 10" in refused(path)
    assert "too narrow" in refused(Image.new("RGB", (1, MAX_ASPECT + 1)))


def test_a_side_is_limited() -> None:
    assert f"and {MAX_SIDE} a side" in refused(Image.new("L", (MAX_SIDE + 1, 200)))
    assert open_image(Image.new("L", (MAX_SIDE, 200))).size == (MAX_SIDE, 200)


@pytest.mark.parametrize("side", [8001, 12000, 20000, 60000])
def test_a_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that claim up to 3.6 billion pixels; Pillow itself warns from 89 and stops at 179 million."""
    assert side * side > MAX_PIXELS
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    sentence = refused(png(side, side, depth=8, color=2, rows=b""))
    assert "too large" in sentence
    assert f"{side} x {side}" in sentence or f"it has {side * side / 10**6:.0f} million pixels" in sentence


def test_the_cap_is_judged_after_nothing_but_the_size() -> None:
    assert "too large" in refused(np.broadcast_to(np.zeros(3, np.uint8), (8001, 8001, 3)))


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((2, 2, 5), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.full((2, 2), 2.0), "0 to 1"),
        (np.full((2, 2), np.nan), "0 to 1"),
    ],
)
def test_arrays_that_are_no_image(array: np.ndarray, word: str) -> None:
    assert word in refused(array)


def test_two_threads_read_their_own_image(red_left: Image.Image) -> None:
    sources = {"red": file_bytes(Image.new("RGB", (300, 300), RED), "PNG"), "broken": file_bytes(noise(), "PNG")[:500]}
    seen: list[tuple[str, str]] = []

    def read(name: str) -> None:
        for _ in range(20):
            try:
                color = open_image(sources[name]).getpixel((1, 1))
                seen.append((name, "red" if color == RED else "other"))
            except ImageError:
                seen.append((name, "refused"))

    threads = [threading.Thread(target=read, args=(name,)) for name in sources for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80
    assert set(seen) == {("red", "red"), ("broken", "refused")}


@pytest.mark.parametrize(
    ("size", "expected"),
    [((2048, 30), (2048, 30)), ((2049, 64), (1025, 32)), ((16384, 164), (2048, 21)), ((100, 10000), (20, 2000))],
)
def test_reduced_keeps_the_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    small = reduced(image)
    assert small.size == expected
    assert (small is image) == (size == expected)
    direct = np.asarray(image.resize((16, 8), Image.Resampling.BOX), dtype=int)
    np.testing.assert_allclose(np.asarray(small.resize((16, 8), Image.Resampling.BOX), dtype=int), direct, atol=8)


# -- questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("what is left of the dog?", "what is left of the dog?"),
        ("  what is\tleft\n of\u00a0the   dog?\r\n", "what is left of the dog?"),
        ("what\x00 is \x1b[31mred\x07?", "what is [31mred?"),
        ("evil \u202eright to left\u202c", "evil right to left"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("\ufeffwo ist der Hund?", "wo ist der Hund?"),
        ("how many 👨‍👩‍👧?", "how many 👨‍👩‍👧?"),
        ("狗的左边是什么?", "狗的左边是什么?"),
        ("?", "?"),
        ("x" * MAX_QUESTION, "x" * MAX_QUESTION),
        ("x" * MAX_QUESTION + " " * 1000, "x" * MAX_QUESTION),
    ],
)
def test_questions_are_cleaned(typed: str, cleaned: str) -> None:
    assert check_question(typed) == cleaned


@pytest.mark.parametrize("typed", [None, "", "   ", "\n\t\u3000", "\x00\x01", "\u200b\u200d"])
def test_a_question_needs_words(typed: str | None) -> None:
    with pytest.raises(QuestionError, match="empty"):
        check_question(typed)


def test_an_overlong_question_tells_both_lengths() -> None:
    with pytest.raises(QuestionError, match=f"{MAX_QUESTION + 1} characters.*{MAX_QUESTION}"):
        check_question("x" * (MAX_QUESTION + 1))


def test_a_question_is_a_text() -> None:
    with pytest.raises(QuestionError, match="int"):
        check_question(7)  # type: ignore[arg-type]
