"""Networks by name or of your own: their cost in closed form, and their pruning.

`prune` removes channels of any network until a share of the FLOPs remains, and verifies the result
against the dense network. `groups` lists the channels that can be removed. `rebuild` makes the
pruned network again from its report. `export_onnx` writes a network to a file that is checked, and
`measure_latency` compares the times of networks. `PrunableNetwork` (in `dependency`) does the same
for the networks of the study.
"""

from hpstudy.networks.any_network import groups as groups
from hpstudy.networks.any_network import prune as prune
from hpstudy.networks.latency import measure_latency as measure_latency
from hpstudy.networks.network_report import NetworkReport as NetworkReport
from hpstudy.networks.network_report import rebuild as rebuild
from hpstudy.networks.onnx_export import export_onnx as export_onnx
