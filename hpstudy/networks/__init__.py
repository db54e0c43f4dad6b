"""What is pruned: networks by name or of one's own, their cost in closed form, their pruning.

`prune` removes channels of any network until a share of the FLOPs remains and verifies that the
rest is exact, `groups` lists what can be removed, and `rebuild` makes the pruned network again from
its report. `PrunableNetwork` (in `dependency`) is the same for the networks of the study.
"""

from hpstudy.networks.any_network import groups as groups
from hpstudy.networks.any_network import prune as prune
from hpstudy.networks.network_report import NetworkReport as NetworkReport
from hpstudy.networks.network_report import rebuild as rebuild
