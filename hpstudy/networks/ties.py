"""Sets of channels that can only leave together."""

from collections import defaultdict
from collections.abc import Hashable, Iterable


class Ties:
    """Channels of a layer, tied where they share a channel of some part of the network."""

    def __init__(self, channels: int):
        self._parents = list(range(channels))
        self._owners: dict[tuple[Hashable, int], int] = {}

    def tie(self, one: int, other: int) -> None:
        """Let two channels leave together, with those that either is tied to."""
        if one != other:
            self._parents[self._find(one)] = self._find(other)

    def add(self, part: Hashable, pairs: Iterable[tuple[int, int]]) -> None:
        """Tie the channels that share one of `part`; pairs are its channels and the layer's."""
        for channel, root in pairs:
            self.tie(self._owners.setdefault((part, channel), root), root)

    def sets(self) -> list[list[int]]:
        """The channels in sets, in the order of their first."""
        found = defaultdict(list)
        for channel in range(len(self._parents)):
            found[self._find(channel)].append(channel)
        return list(found.values())

    def _find(self, channel: int) -> int:
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel
