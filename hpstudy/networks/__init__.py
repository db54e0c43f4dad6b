"""What is pruned: networks by name, their cost in closed form, pruning to a FLOPs ratio.

`build_model` makes a network, `CostModel` counts its operations, `prune` removes channels until a
share of the FLOPs remains, and `PruningReport` rebuilds the pruned network.
"""
