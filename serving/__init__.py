"""How a model folder becomes predictions, and how people and programs reach them."""
