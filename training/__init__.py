"""How rows become a model folder, and how good it is."""
