"""Inner-LLM pruning: fewer visual tokens inside the LLM. `hooks` is the mechanism; each method is one file."""

from crop_core.prune.hooks import LayerPruning
from crop_core.prune.protocol import Decision, PruneContext, PruneError, Pruner, VisualTokens

__all__ = ["Decision", "LayerPruning", "PruneContext", "PruneError", "Pruner", "VisualTokens"]
