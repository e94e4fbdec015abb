"""Images by the names that rows give them, and folders with what systems leave in them."""

import unicodedata

import pytest
from PIL import Image

from crop_core.io.images import ImageError
from crop_core.io.paths import find_image, is_file, visible

NFC, NFD = (unicodedata.normalize(form, "café é.png") for form in ("NFC", "NFD"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in (
        "a.png",
        "images/PHOTO.JPG",
        "images/my image ü.png",
        f"images/{NFD}",
        "100%25.png",
        r"back\slash.png",
    ):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        (r".\a.png", "a.png"),
        (r"images\PHOTO.JPG", "images/PHOTO.JPG"),
        ("Images/photo.jpg", "images/PHOTO.JPG"),
        ("images/my%20image%20%C3%BC.png", "images/my image ü.png"),
        (f"images/{NFC}", f"images/{NFD}"),
        (f"images\\{NFC.upper()}", f"images/{NFD}"),
        ("100%25.png", "100%25.png"),  # as it is, before it is decoded
        (r"back\slash.png", r"back\slash.png"),
        ("images/../a.png", "images/../a.png"),
    ],
)
def test_an_image_is_found_however_a_row_spells_it(folder, name, file):
    assert find_image(folder, name) == folder / file
    assert find_image(folder.parent, f"{folder.name}/{name}").is_file()


def test_a_file_address_is_a_path(folder):
    assert find_image(folder, f"file://{folder}/images/my%20image%20%C3%BC.png") == folder / "images/my image ü.png"


def test_of_two_that_are_alike_none_is_taken(folder):
    (folder / "A.PNG").write_bytes(b"")
    assert find_image(folder, "A.png") == folder / "A.png"
    assert not (folder / "A.png").exists()
    assert find_image(folder, "a.png") == folder / "a.png"


@pytest.mark.parametrize(
    "name", ["none.png", "images", "x" * 5000, "a\0.png", "\ud800.png", "nowhere/a.png", "C:\\a.png"]
)
def test_what_is_not_there_keeps_its_name(folder, name):
    assert find_image(folder, name) == folder / name
    assert not is_file(folder / name)


@pytest.mark.parametrize("name", ["https://example.org/a.png", "HTTP://x/a.png", "s3://bucket/a.png"])
def test_an_address_is_told(folder, name):
    with pytest.raises(ImageError, match=rf"image '{name}' is an address; save the image first and give its path\.$"):
        find_image(folder, name)


def test_what_systems_leave_is_passed_over(folder):
    junk = ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "~$a.xlsx", "__MACOSX/a.png", "images/__MACOSX/._a.png")
    for name in junk:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    assert [each.name for each in visible(folder)] == ["100%25.png", "a.png", r"back\slash.png", "images"]
    assert [each.name for each in visible(folder, "*/*.JPG")] == ["PHOTO.JPG"]
    assert visible(folder, "**/*a.png") == [folder / "a.png"]
