"""What was made of an image and a question, kept in memory for whoever asks the same again; the oldest goes first.

Kept are vision features and regions, with the seconds that they took: what is shown as a cost stays that of the work,
never that of finding it here. Comparisons measure every run of theirs, and read nothing from here.

A key is a keyed hash of the pixels and of all else that matters, with a secret of this process: nobody can make the key
of an image that is not theirs, and no key leaves the process. Who asks the same about the same image as somebody
else is answered a little sooner; no figure tells.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import torch

from crop_core.models import Images, as_list

Kept = TypeVar("Kept")
DEFAULT_LIMIT_BYTES = 256 * 2**20  # bytes
LEAST = 1024  # bytes that anything counts as


@dataclass(eq=False)
class FeatureCache:
    """limit: bytes of all tensors that are kept, 0 for none. Safe to use from any thread."""

    limit: int = DEFAULT_LIMIT_BYTES
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _kept: OrderedDict[bytes, tuple[Any, int]] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def of(self, images: Images, *what: object, make: Callable[[], Kept]) -> Kept:
        """What is kept of the images and everything in `what`, whose texts tell it apart; else what `make` makes."""
        key = self._key(images, *what)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        made = make()
        self._keep(key, made)
        return made

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(size for _, size in self._kept.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def _keep(self, key: bytes, made: Any) -> None:
        size = max(LEAST, sum(each.nbytes for each in _tensors(made)))
        if size > self.limit:
            return
        with self._lock:
            self._kept[key] = made, size
            while self.size > self.limit:
                self._kept.popitem(last=False)

    def _key(self, images: Images, *what: object) -> bytes:
        """Each part with its length before it, so that no two lists of parts read alike."""
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        each_image = as_list(images)
        pixels = [part for image in each_image for part in (f"{image.mode} {image.size}".encode(), image.tobytes())]
        for part in (str(len(each_image)).encode(), *pixels, *(str(each).encode() for each in what)):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor inside records, mappings and sequences."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _tensors(getattr(value, each.name))
    else:  # what was watched of a tower holds one beside the tower itself
        yield from (each for each in getattr(value, "__dict__", {}).values() if isinstance(each, torch.Tensor))
