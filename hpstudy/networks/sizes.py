"""Size of the thesis's dense networks at its own image sizes, by two counters."""

import copy
import json

import torch_pruning as tp

from hpstudy.networks.dependency import Network
from hpstudy.networks.models import input_size, zeros

CLASSES = {"resnet56": 10, "mobilenetv2": 10, "resnet50": 1000}


def network_sizes() -> dict[str, dict]:
    """Size of each of the thesis's dense networks, for one image of the size it trains on.

    Returns
    -------
    dict of str to dict
        Model -> image_size (pixels), params, macs (of convolutions and linear layers),
        macs_torch_pruning (that library's counter, which counts batch normalisation too).

    References
    ----------
    Thesis, section 3.1.2, Table 3.2.
    """
    sizes = {}
    for name in CLASSES:
        size = input_size(name)
        network = Network(name, CLASSES[name], size)
        model = copy.deepcopy(network.model).eval()
        counted = tp.utils.count_ops_and_params(model, zeros(size))[0]
        sizes[name] = {
            "image_size": size,
            "params": network.cost.params(),
            "macs": network.cost.macs(),
            "macs_torch_pruning": int(counted),
        }
    return sizes


if __name__ == "__main__":
    print(json.dumps(network_sizes(), indent=1))
