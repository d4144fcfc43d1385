"""The rules and runbooks of the network, for each kind of thing that has eyes for it."""

from pathlib import Path

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.domain import Reading, Rule, Runbook

_HERE = Path(__file__).parent
METRICS = {
    "network_unreachable": 0.0,
    "network_loss_ratio": 0.0,
    "network_rtt_seconds": 0.0004,
    "network_rtt_ratio": 2.0,
    "dns_failing": 0.0,
    "dns_seconds": 0.001,
}
"""An example of what a look adds; where the network cannot be seen all of it is missing, and nothing is judged."""
FACTS = {
    "network": "The network between shop and postgres (172.18.0.3:5432) loses packets.",
    "network_peer": "postgres (172.18.0.3:5432)",
    "network_else": "postgres answers this machine in 0.4 ms",
    "dns": "DNS fails in shop: 127.0.0.11 gives no answer for postgres.",
}


def rules_of(kind: str, sample: Reading) -> tuple[Rule, ...]:
    return load_rules(_HERE / "rules.yaml", kind=kind, sample=sample)


def runbooks_of(kind: str, sample: Reading) -> tuple[Runbook, ...]:
    return load_runbooks(_HERE / "runbooks", kind=kind, sample=sample, tools=())
