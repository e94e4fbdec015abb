"""Pre-LLM compression: fewer visual tokens before the LLM. A plan says which become one, `apply` hands it to generate()."""
