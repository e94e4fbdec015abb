import base64
from urllib.parse import quote

import pytest
from PIL import Image

from crop_core.io.data_url import data_url, decode_base64, image_from_data_url
from crop_core.io.images import ImageError

CONTENT = bytes(range(256))
BARE = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        "\n".join(BARE[start : start + 76] for start in range(0, len(BARE), 76)),
        f"data:image/png;base64,{BARE}",
        f"DATA:IMAGE/PNG;BASE64,{BARE}",
        f"data:;base64,{BARE}",
        f"data:image/webp;name=a;base64,{quote(BARE, safe='')}",
        f"data:image/png,{quote(CONTENT)}",
    ],
)
def test_a_data_url_and_bare_base64_are_decoded(text: str) -> None:
    assert decode_base64(text) == CONTENT


@pytest.mark.parametrize(
    "text", ["!!!!", "abc", "image.png", "http://a/b.png", "data:image/png;base64,a", "é", "a\0b="]
)
def test_what_is_neither_is_one_sentence(text: str) -> None:
    with pytest.raises(ImageError, match=r"^The embedded image is broken: its base64 cannot be read\.$"):
        decode_base64(text)


def test_an_embedded_image_is_png_or_jpeg_alone() -> None:
    image = Image.new("RGB", (4, 3), "red")
    assert image_from_data_url(data_url(image)).tobytes() == image.tobytes()
    with pytest.raises(ImageError, match="a data URL of a PNG or JPEG file"):
        image_from_data_url(data_url(image).replace("image/png", "image/webp"))
