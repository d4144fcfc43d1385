"""A filtering proxy before the engine's socket, which lets through what is needed and nothing else."""

import re
from collections.abc import Iterable

from watchkeeper.domain import Right
from watchkeeper.domain.rights import of_kind

LISTEN = "127.0.0.1:2375"
SOCKET = "/var/run/docker.sock"
_ID = "[A-Za-z0-9][A-Za-z0-9_.-]*"
_HEAD = """\
# The Docker engine's API, as much of it as Watchkeeper needs to {purpose}. Printed by `watchkeeper doctor --rights`.
# Whoever reaches this address may do what is listed here: keep it on loopback, or on a network of the two alone.
# Watchkeeper is told of it by DOCKER_HOST=tcp://{listen}.
"""


def nginx(rights: Iterable[Right], *, purpose: str, listen: str = LISTEN, socket: str = SOCKET) -> str:
    """A complete nginx.conf. What is matched is the request line as it came, which is what is passed on."""
    found = dict.fromkeys(right.what for right in of_kind(rights, "call"))
    rows = "\n".join(f'    "~^{_pattern(call)}" 1;' for call in found)
    return (
        _HEAD.format(purpose=purpose, listen=listen)
        + f"""\
user root;  # one that may use the socket
worker_processes 1;
events {{}}
http {{
  map "$request_method $request_uri" $allowed {{
    default 0;
{rows}
  }}
  upstream docker {{
    server unix:{socket};
  }}
  server {{
    listen {listen};
    access_log off;
    default_type application/json;
    client_max_body_size 1m;
    location / {{
      if ($allowed = 0) {{
        return 403 '{{"message": "it is not among what this proxy lets through"}}';
      }}
      proxy_pass http://docker;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;  # events and logs are streams
      proxy_read_timeout 1d;
    }}
  }}
}}
"""
    )


def _pattern(call: str) -> str:
    method, _, path = call.partition(" ")
    whole = "/".join(_ID if part == "{id}" else re.escape(part) for part in path.split("/"))
    return rf"{method} (/v[0-9.]+)?{whole}(\?|$)"


_ALLOW = {"start": "ALLOW_START", "restart": "ALLOW_RESTARTS"}


def environment(rights: Iterable[Right]) -> tuple[str, ...]:
    """The variables of the image tecnativa/docker-socket-proxy, coarser than nginx; comments begin with `#`."""
    found = of_kind(rights, "call")
    acts = {right.what.rsplit("/", 1)[1] for right in found if not right.what.startswith("GET ")}
    lines = ["CONTAINERS=1", "EVENTS=1", "VERSION=1", "PING=0"]
    coarse = sorted(acts - set(_ALLOW))
    if coarse:
        lines.append("POST=1")
        lines.append(
            f"# POST=1 is more than is needed: it has no finer way to allow {', '.join(coarse)}, and lets one make"
        )
        lines.append("# containers, which is as good as root. The nginx configuration allows exactly what is needed.")
    else:
        lines.append("POST=0")
    lines += [f"{_ALLOW[act]}=1" for act in sorted(acts & set(_ALLOW))]
    if "restart" in acts:
        lines.append("# ALLOW_RESTARTS also lets one stop and kill.")
    return tuple(lines)
