"""A model of lmms-eval that answers by `CropEngine`'s one path, so that its standard tasks run with any method.

`model.py` alone needs lmms-eval, and lmms-eval alone imports it; nothing of the library knows this room.
Source: Zhang et al., LMMs-Eval: Reality Check on the Evaluation of Large Multimodal Models, arXiv 2407.12772.
"""
