"""The app's interface: it draws the engine's records and knows nothing of torch."""
