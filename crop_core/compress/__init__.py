"""Pre-LLM compression: fewer visual tokens before the LLM, one method a file."""
