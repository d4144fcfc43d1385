"""The least rights on a machine whose services are watched: what sudo must allow, and which of it is there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from watchkeeper.connectors.service.read import JOURNAL, LOOK, ServiceSession
from watchkeeper.domain import Held, Resource, Right
from watchkeeper.domain.rights import DECLARED
from watchkeeper.hosts.rights import OTHERS
from watchkeeper.hosts.sudoers import EXAMPLE, sudoers

USER = "watchkeeper"
_ASK = 'unit=$1; shift; id -un; for v; do sudo -n -l systemctl "$v" -- "$unit" >/dev/null 2>&1 && echo "$v"; done; :'
"""`sudo -l COMMAND` says whether it would be allowed, and runs nothing."""
_IN_GROUP = "id -nG | grep -qwE 'systemd-journal|adm|wheel'"


class ServiceAccess:
    """A unit is started by systemd, which asks sudo (or who we are); a plain process belongs to a user."""

    form = "sudoers"
    look: Sequence[Right] = LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return ()

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """A line for sudoers, for the units that the rights are about; what no line gives is a comment."""
        rights = list(rights)
        user = str(resource.settings.get("username") or USER) if resource else USER
        units = dict.fromkeys(EXAMPLE if r.on == DECLARED else r.on for r in rights if r.kind == "unit")
        line = sudoers(rights, list(units), user=user)
        said = [f"# {right.gives}: {right.what}" for right in rights if right.kind == "machine"]
        return "\n".join([*([line] if line else []), *said])

    async def held(self, session: ServiceSession, rights: Iterable[Right]) -> Held:
        """By asking sudo what it would allow. Raises WatchkeeperError."""
        host, machine = session.host, session.host.machine
        survey = await machine.look()
        verbs = [right.what for right in rights if right.kind == "unit"]
        told = await machine.shell.run(_ASK, [host.unit, *dict.fromkeys(verbs)], timeout=10.0)
        name, *allowed = told.stdout.decode(errors="replace").split("\n")
        root = survey.uid == 0
        held: dict[Right, bool | None] = {}
        notes: tuple[str, ...] = ()
        for right in dict.fromkeys(rights):
            if right.kind == "unit" and host.unit:
                own = root or (right.what in allowed if machine.sudo else None)
                held[replace(right, on=host.unit)] = own
                if own is None:
                    notes = ("`sudo: true` is not set for its machine, and what polkit allows is not known",)
            elif right in OTHERS and not host.unit and host.process is not None:
                held[right] = root or host.process.uid == survey.uid
            elif right == JOURNAL and host.unit:
                held[right] = root or not (await machine.shell.run(_IN_GROUP, timeout=10.0)).exit_code
        more = ("everything there (root)",) if root and machine.name else ()
        return Held(f"the user {name}", held, more, notes, name=name)
