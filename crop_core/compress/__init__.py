"""Pre-LLM compression: fewer visual tokens before the LLM. Plans say which become one, `apply` feeds generate()."""

from crop_core.compress.apply import CompressedInputs, compress_inputs
from crop_core.compress.picture import Picture
from crop_core.compress.protocol import CompressionError, CompressionPlan, Compressor

__all__ = ["CompressedInputs", "CompressionError", "CompressionPlan", "Compressor", "Picture", "compress_inputs"]
