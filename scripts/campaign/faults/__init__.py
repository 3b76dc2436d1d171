"""What can go wrong, a module for each sort; `KINDS` names them all."""

from __future__ import annotations

from campaign.faults import actions, delivery, machine, network, processes, stores
from campaign.faults.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for module in (processes, actions, network, stores, delivery, machine) for kind in module.KINDS
}
"""Every kind of fault by its name."""
