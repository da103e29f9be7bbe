"""The channel bookkeeping of a network: which layers write, share and read the same channels.

``wire(model)`` follows the channels through the traced network. Whoever wants to cut a channel out, or to freeze it,
learns here what else it is tied to.

Book: Frontiers, "From zeros to speed".
"""

from bregtutorial.wiring.sets import ChannelSet, Ports, Reader, Step, Wiring
from bregtutorial.wiring.walk import wire

__all__ = ["ChannelSet", "Ports", "Reader", "Step", "Wiring", "wire"]
