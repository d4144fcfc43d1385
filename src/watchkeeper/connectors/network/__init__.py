"""What a container, or a service of this machine, sees of the network. Shared by the connectors of what others run on:
their readings tell it, and these rules and runbooks judge it. Nothing here changes anything."""

from watchkeeper.connectors.network.defined import FACTS, METRICS, rules_of, runbooks_of
from watchkeeper.connectors.network.eyes import Eyes

__all__ = ["FACTS", "METRICS", "Eyes", "rules_of", "runbooks_of"]
