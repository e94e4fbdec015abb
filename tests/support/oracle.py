"""The masking oracle of `crop check`, which the tests share: one copy, in the product."""

from crop_core.evaluate.oracle import Masked, difference, new_tokens, run

__all__ = ["Masked", "difference", "new_tokens", "run"]
