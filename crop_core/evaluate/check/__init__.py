"""`crop check`: proofs that pruning is exact, regions and answers on drawn scenes, and costs, of one loaded engine."""
