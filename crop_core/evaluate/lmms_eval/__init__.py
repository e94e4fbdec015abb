"""Model "crop" for lmms-eval: answers by `CropEngine`'s one path, so that standard tasks run with any method.

Only `model.py` needs lmms-eval, and only lmms-eval imports it; no other room imports this one.
Source: Zhang et al., LMMs-Eval: Reality Check on the Evaluation of Large Multimodal Models, arXiv 2407.12772.
"""
