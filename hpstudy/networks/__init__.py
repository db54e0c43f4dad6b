"""What is pruned: networks by name, their cost in closed form, pruning to a FLOPs ratio."""
