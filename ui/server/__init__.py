"""Serving: queue, limits, monitoring, health, headers, ZeroGPU, Ray Serve. Knows nothing of the page's content."""
