"""Scenes of the independent world: descriptions, drawing and questions of their own, never trained on."""
