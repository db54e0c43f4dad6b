"""torch-pruning without timm, whose import takes seconds and serves a counter not used here."""

import sys

hidden = "timm" not in sys.modules
if hidden:
    sys.modules["timm"] = None  # type: ignore[assignment]  # An import of it then fails.
try:
    import torch_pruning as tp
    from torch_pruning.dependency import index_mapping
finally:
    if hidden:
        del sys.modules["timm"]

__all__ = ["index_mapping", "tp"]
