"""A checkpoint's own processor without torchvision: images by PIL, and no part for videos, which would need it."""

from __future__ import annotations

from typing import Any

VIDEO = "video_processor"


def load_processor(processor_class: Any, source: str, **how: Any) -> Any:
    """`processor_class.from_pretrained` of a folder or hub id, its image processor of the PIL backend."""
    return for_images(processor_class).from_pretrained(source, backend="pil", **how)


def for_images(processor_class: Any) -> Any:
    """The class itself, or one of its name that takes None for its video processor."""
    if VIDEO not in processor_class.get_attributes():
        return processor_class

    class ForImages(processor_class):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != VIDEO]

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == VIDEO and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    ForImages.__name__ = ForImages.__qualname__ = processor_class.__name__
    return ForImages
