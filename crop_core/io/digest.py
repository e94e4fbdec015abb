"""Keys of what is kept by image and text: hashes keyed with a secret of this process."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from PIL import Image


class SecretDigest:
    """Hash of images and texts: nobody makes the key of an image that is not theirs, and no key leaves the process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def __call__(self, images: Sequence[Image.Image], *parts: object) -> bytes:
        """32 bytes of the pixels and the texts of `parts`, each with its length before it, so that no two lists of
        parts collide.
        """
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        pixels = [part for image in images for part in (f"{image.mode} {image.size}".encode(), image.tobytes())]
        for part in (str(len(images)).encode(), *pixels, *(str(each).encode() for each in parts)):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()
