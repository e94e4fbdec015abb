"""Inner-LLM pruning: fewer visual tokens inside the LLM. `hooks` is the mechanism, every method is one file beside it."""
