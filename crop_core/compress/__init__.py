"""Pre-LLM compression: fewer visual tokens before the LLM. Plans say which become one, `apply` feeds generate()."""

from crop_core.compress.apply import CompressedInputs, compress_inputs
from crop_core.compress.picture import Compressor, Picture
from crop_core.compress.protocol import CompressionError, CompressionPlan

__all__ = ["CompressedInputs", "CompressionError", "CompressionPlan", "Compressor", "Picture", "compress_inputs"]
