"""What an nginx asks of whoever looks at it and changes it: on its machine a user's rights, of a container its engine.

Whoever may write its configuration may do whatever its master may, which is root as a rule: it loads modules.
"""

from watchkeeper.domain.rights import calls, machine
from watchkeeper.hosts.rights import EXEC, FILES

READS = machine("its configuration files, to be read", gives="how an nginx is set up")
LOGS = machine("its logs, to be read (group adm)", gives="errors, statuses and times of an nginx")
COUNTS = machine("root, or its workers' user", gives="connections of an nginx, counted from outside")
TESTS = machine("root, or its master's user", gives="testing its configuration, which opens keys, logs and pid file")
WRITES = machine("its configuration files and their folders, to be written", gives="changing its configuration")
SIGNALS = machine("root, or its master's user, to signal it", gives="loading its configuration")
ENDS = machine("root", "the program nsenter", "the program ss", gives="telling idle connections, and ending them")

LOOK = (
    *READS,
    *LOGS,
    *COUNTS,
    *TESTS,
    *calls(*EXEC, gives="whether the configuration of an nginx in a container is valid"),
    *calls(FILES[0], gives="the configuration of an nginx in a container of another machine"),
)
"""What looking must be allowed; its port is asked as any visitor does."""
TEST = (*READS, *TESTS, *calls(*EXEC))
RELOAD = (*TEST, *SIGNALS)
RESTORE = (*TEST, *WRITES, *calls(*FILES))
CHANGE = (*RESTORE, *SIGNALS)
