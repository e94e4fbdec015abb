"""Pre-LLM compression: fewer visual tokens before the LLM, one method a file. `models/compressed_inputs` feeds a plan to generate()."""
