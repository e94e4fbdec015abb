"""Our Hugging Face Space: described in `Spacefile`, checked offline, pushed through huggingface_hub."""
