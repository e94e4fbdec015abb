"""LRU cache of vision features and regions, by image and question.

Entries hold the seconds that they took: costs shown are always those of the work, never those of a cache hit.
Comparisons measure every run and do not read the cache.

A user who asks the same about the same image as another one is answered a little sooner; no figure shows it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import torch

from crop_core.io.digest import SecretDigest
from crop_core.models import Images, as_list

Entry = TypeVar("Entry")
DEFAULT_LIMIT_BYTES = 256 * 2**20  # bytes
MIN_ENTRY_BYTES = 1024  # what a smaller entry counts as


@dataclass(eq=False)
class FeatureCache:
    """Thread-safe LRU cache. limit: bytes of all tensors in it, 0 for no cache."""

    limit: int = DEFAULT_LIMIT_BYTES
    _key: SecretDigest = field(default_factory=SecretDigest, init=False, repr=False)
    _entries: OrderedDict[bytes, tuple[Any, int]] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def get_or_compute(self, images: Images, *parts: object, compute: Callable[[], Entry]) -> Entry:
        """The entry of these images and the texts of `parts`; computed and stored where there is none."""
        key = self._key(as_list(images), *parts)
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
        result = compute()
        self._store(key, result)
        return result

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, size in self._entries.values())

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()

    def _store(self, key: bytes, entry: Any) -> None:
        size = max(MIN_ENTRY_BYTES, sum(each.nbytes for each in _tensors(entry)))
        if size > self.limit:
            return
        with self._lock:
            self._entries[key] = entry, size
            while self.size > self.limit:
                self._entries.popitem(last=False)


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
    else:  # a record of the tower's attention holds a tensor beside the tower itself
        yield from (each for each in getattr(value, "__dict__", {}).values() if isinstance(each, torch.Tensor))
