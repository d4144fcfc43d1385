"""What an incident that nothing can be done about rests on: how its root and what carries it are configured."""

from watchkeeper.domain import Resource
from watchkeeper.domain.change import CREATED, STARTED, Fingerprint
from watchkeeper.store import Store
from watchkeeper.watch.correlation import place
from watchkeeper.watch.watch import Watch

OF = "@ "
"""Between a resource and a setting: so that a resource that is renamed is renamed here (`store.rename`)."""
SAID = "="
"""Before the name of what the user's configuration says: there, what is not said is known, too."""


async def rests_on(root: str, store: Store, watch: Watch) -> dict[str, str]:
    """Resource and setting → value: of the configuration in force, and of what is said of them in the user's own."""
    resources = watch.fleet.resources
    found: dict[str, str] = {}
    for key in place(root, resources) if root in resources else ():
        found |= _said(resources[key])
        known = await store.find(Fingerprint, key)
        values = known.values.items() if known is not None else ()
        found |= {f"{key}{OF}{name}": value for name, value in values if name not in (STARTED, CREATED)}
    return found


def _said(resource: Resource) -> dict[str, str]:
    told = {name: str(value) for name, value in resource.settings.items()} | {"act": str(resource.may_act)}
    return {f"{resource.id}{OF}{SAID}{name}": value for name, value in told.items()}
