"""Which of what an nginx asks for is there: tried by reading permissions, and by signal 0, which changes nothing."""

from collections.abc import Iterable, Sequence

from watchkeeper.connectors.nginx import clearing, learning, needs
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import Held, Resource, Right
from watchkeeper.hosts import ServiceHost

USER = "watchkeeper"
_LOG_GROUP = "usermod --append --groups adm {user}  # its logs"
_ASK = """
master=$1 files=$2
shift 2
worker=$(cut -d' ' -f1 "/proc/$master/task/$master/children" 2>/dev/null)
id -un
readable() { [ -r "$1" ]; }
writable() { [ -w "$1" ] && [ -w "$(dirname -- "$(readlink -f -- "$1")")" ]; }
count=0
for one; do
  count=$((count + 1))
  if [ "$count" -le "$files" ]; then
    readable "$one" || unread=1
    writable "$one" || unwritten=1
  elif [ -e "$one" ] || [ ! -x "$(dirname -- "$one")" ]; then
    readable "$one" || unlogged=1
  fi
done
[ "$files" -gt 0 ] && [ -z "${unread:-}" ] && echo reads
[ "$files" -gt 0 ] && [ -z "${unwritten:-}" ] && echo writes
[ -z "${unlogged:-}" ] && echo logs
kill -0 "$master" 2>/dev/null && echo signals
ls "/proc/${worker:-$master}/fd" >/dev/null 2>&1 && echo counts
[ "$(id -u)" = 0 ] || [ "$(id -u)" = "$(stat -c %u "/proc/$master" 2>/dev/null)" ] && echo tests
:
"""


class NginxAccess:
    """There is no list of rights in nginx itself: they are those of a user on its machine."""

    form = ""
    look: Sequence[Right] = needs.LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return ()

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """The group that may read its logs; what only its user or root has is a comment."""
        user = str(resource.settings.get("username") or USER) if resource else USER
        rows: list[str] = []
        for right in rights:
            if right in needs.LOGS:
                rows.append(_LOG_GROUP.format(user=user))
            elif right.kind == "machine" and more:
                rows.append(f"# {right.gives}: {right.what}")
        return "\n".join(dict.fromkeys(rows))

    async def held(self, session: NginxSession, rights: Iterable[Right]) -> Held:
        """Of one that runs without a container; else its engine is asked. Raises WatchkeeperError."""
        host = session.host
        if not isinstance(host, ServiceHost) or not host.pid:
            return Held("a visitor", {})
        await learning.now(session)
        known = session.configuration
        files = sorted(known.contents) if known else []
        logs = [log.path for log in (*known.access_logs, *known.error_logs)] if known else []
        there = [str(host.pid), str(len(files)), *files, *(path for path in logs if path.startswith("/"))]
        told = await host.exec(["sh", "-c", _ASK, "sh", *there], timeout=10.0)
        name, *able = told.stdout.splitlines()
        groups = {
            "reads": needs.READS,
            "logs": needs.LOGS,
            "counts": needs.COUNTS,
            "tests": needs.TESTS,
            "writes": needs.WRITES,
            "signals": needs.SIGNALS,
        }
        held: dict[Right, bool | None] = {
            right: word in able for word, group in groups.items() for right in group if right in set(rights)
        }
        if session.pid:  # it is of this machine
            held |= {right: not clearing.impossible() for right in needs.ENDS if right in set(rights)}
        return Held(f"the user {name}", held, name=name)
