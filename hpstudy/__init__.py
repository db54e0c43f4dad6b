"""Whether structured pruning moves the learning-rate x weight-decay landscape of a network.

`study` says what to run; `data`, `models`, `flops`, `surgery`, `pruning` and `training` do one
run; `store`, `plan`, `cost`, `worker` and `sweep` do many; `landscape`, `risk` and `compare`
analyse their table; `figures`, `explore` and `report` show it; `cli` is the command line. Imports
point to the left only, and nothing from `landscape` on imports torch, but for `networks`, which
runs in a process of its own.
"""

__version__ = "0.1.0"
