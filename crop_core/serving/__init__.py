"""The engine as workers of a Ray cluster: more than one GPU or machine behind one app. Knows nothing of interfaces."""
