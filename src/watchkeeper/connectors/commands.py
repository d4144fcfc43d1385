"""Which program a command line starts: itself, or through a shell, an entry point script or another that hands on."""

import posixpath
from collections.abc import Collection

_HANDS_ON = frozenset(
    {"sh", "bash", "ash", "dash", "tini", "dumb-init", "setpriv", "env", "exec", "nice", "nohup", "sudo", "runuser"}
)
_AS_SOMEBODY = frozenset({"gosu", "su-exec", "su", "setuser"})
_TAKES_A_VALUE = frozenset({"-u", "-U", "--user", "--reuid", "--regid"})
_BETWEEN = frozenset({"&&", "||", "|", ";", "&", "then", "do", "else"})


def starts(command: str, programs: Collection[str]) -> int | None:
    """The number of the word that starts one of these programs; None where none of them is started. What a program is
    told is not started: `psql -U postgres` is no server.

    >>> starts("/usr/sbin/nginx -g 'daemon off;'", {"nginx"}), starts("sh -c 'exec gosu nginx nginx'", {"nginx"})
    (0, 5)
    >>> starts("bash -c 'sleep 9 | psql -h db -U postgres'", {"postgres"}), starts("curl http://nginx", {"nginx"})
    (None, None)
    """
    words = command.split()
    if not words or words[0].endswith(":"):  # a title: a part of what is listed too
        return None
    first = posixpath.basename(words[0])
    if first in programs:
        return 0
    if not _hands_on(first):
        return None
    begins, somebody = True, first in _AS_SOMEBODY
    for number, word in enumerate(words[1:], 1):
        bare = word.strip("'\"(){};")
        name = posixpath.basename(bare)
        option = bare.startswith("-") or "=" in bare or not bare
        if word in _BETWEEN:
            begins = True
        elif begins and somebody and not option:
            somebody = False
        elif begins and not option:
            if name in programs and "://" not in word:
                return number
            begins = _hands_on(name)
            somebody = name in _AS_SOMEBODY
        elif begins:
            somebody = somebody or bare in _TAKES_A_VALUE
        begins = begins or word.endswith((";", "|", "&"))
    return None


def _hands_on(name: str) -> bool:
    return name in _HANDS_ON or name in _AS_SOMEBODY or name.endswith(".sh")
