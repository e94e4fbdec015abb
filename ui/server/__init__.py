"""What the app is to its host: health, a log of requests, figures, headers, ZeroGPU. Knows nothing of the page."""
