"""Whom the pooler lets in and whom it refuses: nothing of its console tells that, only its log. Pure.

Its lines, by default (`log_connections`, `log_disconnections`, `log_pooler_errors`):

    … LOG C-0x55cc: shop/shop@10.0.0.9:51080 login attempt: db=shop user=shop tls=no
    … ERROR C-0x55cc: shop/shop@10.0.0.9:51080 password authentication failed
    … LOG C-0x55cc: shop/shop@10.0.0.9:51080 closing because: SASL authentication failed (age=0s)
    … WARNING C-0x55cc: shop/shop@10.0.0.9:51080 pooler error: SASL authentication failed

That a client was let in is in no line of its own: it is among those of SHOW CLIENTS, or takes its leave.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watchkeeper.connectors.pgbouncer.figures import CONSOLE

FEW = 5
"""Refusals of the same user and database, one after the other, before it is more than a slip of somebody's."""
QUIET_SECONDS = 120.0
"""Where nobody was refused for so long, nobody is any more: who tries again does so sooner."""
EXCUSED_SECONDS = 60.0
"""Where the same user was let in between refusals, one of its applications has another password than the others: that
is no fault of the pooler's for so long after."""
SERVED_SECONDS = 300.0
"""Who was let in so lately, and not refused since, comes seldom and is served."""
_COUNTED = 1000
_COUNTED_SECONDS = 300.0
_MOST = 200
"""Pairs of user and database that are remembered, those that came last."""
_MOST_CLIENTS = 5000
_NAME = 63
_LONGEST = 4096
"""Characters of a line that are looked at; the pooler itself cuts at half of that."""
_LINE = re.compile(
    r"^(?:.*?\[\d+\] (?:LOG|WARNING|ERROR) )?C-(?P<client>0x[0-9a-f]+): "
    r"(?P<database>[^/]*)/(?P<user>.*?)@(?P<address>unix(?:\(\d+\))?|\[?[0-9a-fA-F:.]+\]?):(?P<port>\d+) (?P<said>.*)$"
)
_ANY = re.compile(r"\[\d+\] (LOG|WARNING|ERROR|FATAL) ")
_ANEW = re.compile(r"process up: |RELOAD command issued|got SIGHUP")
_ASKS = re.compile(r"login attempt: db=(?P<database>.*?) user=(?P<user>.*) tls=")
_NOT_FOUND = re.compile(r"login failed: db=(?P<database>.*?)(?: user=(?P<user>.*))?$")
_CLOSED = re.compile(r"closing because: (?P<why>.*) \(age=(?P<age>\d+)s?\)$")
_TOLD = "pooler error: "
_REFUSED = re.compile(
    r"no such (user|database)\b|(password|SASL|\"trust\"|certificate|PAM|LDAP|GSS) authentication failed$|auth failed$"
    r"|not allowed$|login rejected$|unix socket login rejected$|SSL required$"
    r"|TLS (connection|client certificate|certificate name)|unsupported (options )?startup parameter"
    r"|empty password returned by client$|client selected an invalid SASL|no username supplied$|bouncer config error$",
    re.IGNORECASE,
)
"""Why a client was not let in, in the words of 1.5 to 1.24 (pgbouncer, src/client.c). What the server behind says of a
login is not among them, nor what has a rule of its own: a database that is disabled, and `max_client_conn`."""
_BEFORE = re.compile(
    r"no such user(: |$)|password authentication failed$|SCRAM authentication failed: |TLS |auth_type=any requires"
    r"|unsupported startup parameter"
)
"""What is said before the client is sent away, and more exactly than then."""
Key = tuple[str, str]
"""Database and user; empty where it was not told."""


@dataclass
class _Client:
    """One that asks to be let in, or has been."""

    address: str
    port: str
    key: Key
    asked: float | None = None
    """When it was seen to ask; None where it was not."""
    hint: str = ""


@dataclass
class _Bout:
    """Refusals of one user to one database, without one that was let in between."""

    first: float
    began: datetime
    last: float
    why: str = ""
    address: str = ""
    number: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_COUNTED))
    excused: float | None = None
    """When such a client was let in last between refusals."""

    def refused(self, at: float, when: datetime, why: str, address: str) -> None:
        if not self.number or at - self.last > QUIET_SECONDS:
            self.number, self.first, self.began = 0, at, when
            self.times.clear()
        self.number += 1
        self.times.append(at)
        self.last, self.why, self.address = at, why, address

    def stands(self, at: float) -> bool:
        excused = self.excused is not None and at - self.excused < EXCUSED_SECONDS
        return self.number >= FEW and at - self.last <= QUIET_SECONDS and not excused

    def lately(self) -> tuple[int, float]:
        """How many there were, and within how many seconds."""
        times = [one for one in self.times if one > self.last - _COUNTED_SECONDS]
        return len(times), self.last - times[0]


@dataclass
class Admissions:
    """What the log told lately. `ours`: as whom we come ourselves, which never counts. Times are the event loop's."""

    ours: str
    began: float
    heard: float | None = None
    """When anything of it was heard last."""
    passed: int = 0
    """Lines that were not looked at, more than could be."""
    _clients: OrderedDict[str, _Client] = field(default_factory=OrderedDict[str, _Client])
    """By where the pooler keeps them in its memory, which another has after them."""
    _bouts: OrderedDict[Key, _Bout] = field(default_factory=OrderedDict[Key, _Bout])
    _served: OrderedDict[Key, float] = field(default_factory=OrderedDict[Key, float])
    """When each was let in last."""
    _active: float | None = None
    _sent_away: tuple[str, str, str] | None = None
    """The client whose end was told last: why follows once more, as an error."""

    def line(self, at: float, when: datetime, line: str) -> None:
        """Take one line of its log."""
        found = _LINE.match(line[:_LONGEST])
        if found is None:
            if said := _ANY.search(line):
                self.heard = at
                if _ANEW.match(line, said.end()):
                    self._anew()
            return
        self.heard = at
        name, said = found["client"], found["said"]
        client = self._client(found)
        if asks := _ASKS.match(said):
            client.asked, client.key = at, _key(asks["database"], asks["user"])
            self._sent_away = None
        elif failed := _NOT_FOUND.match(said):
            client.key = _key(failed["database"], failed["user"] or client.key[1])
        elif closed := _CLOSED.match(said):
            del self._clients[name]
            self._sent_away = (name, client.address, client.port)
            self._ended(at, when, client, closed["why"], float(closed["age"]))
        elif said.startswith(_TOLD):
            del self._clients[name]
            if (name, client.address, client.port) != self._sent_away:
                self._ended(at, when, client, said.removeprefix(_TOLD), 0.0)
            self._sent_away = None
        elif _BEFORE.match(said):
            client.hint = client.hint or said.partition("=")[0]  # the name of a parameter, not what it was set to

    def seen(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Of SHOW CLIENTS, who is inside that was seen to ask."""
        for row in rows:
            client = self._clients.get(str(row.get("ptr")))
            if client is None or client.asked is None or str(row.get("port")) != client.port:
                continue
            if str(row["state"]) in ("active", "idle"):
                self._let_in(client.key, client.asked)

    def told(self, at: float, *, active: bool, silence: float | None) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics and facts; no metrics where nothing was heard of its log for more than `silence` seconds, or ever.

        `active`: whether somebody else than us is served now.
        """
        facts = {"refused_client": ""}
        if active or self._active is None:
            self._active = at if active else self.began
        self._forget(at)
        if self.heard is None or (silence is not None and at - self.heard > silence):
            return {}, facts
        standing = {key: bout for key, bout in self._bouts.items() if bout.stands(at)}
        if not standing:
            return {"clients_refused": 0.0, "clients_refused_seconds": 0.0, "nobody_served_seconds": 0.0}, facts
        key, bout = max(standing.items(), key=lambda one: (one[0][0] != CONSOLE, one[1].last, one[1].number))
        number, seconds = bout.lately()
        others = len(standing) - 1
        more = f"; so {'is' if others == 1 else 'are'} {others} more of user and database" if others else ""
        least = "at least " if self.passed else ""
        facts["refused_client"] = (
            f"{_who(key)} was refused {least}{number:,} times in {seconds:.0f} s, since {bout.began:%H:%M:%S} UTC: "
            f"{bout.why} (last from {bout.address}){more}"
        )
        return {
            "clients_refused": float(number),
            "clients_refused_seconds": at - bout.first,
            "nobody_served_seconds": self._nobody(at, standing),
        }, facts

    @property
    def refuses(self) -> bool:
        """Whether anybody was refused lately."""
        return bool(self._bouts)

    def wants_to_know(self) -> bool:
        """Whether some of those who are refused asked, and it was not told yet what became of them."""
        return self.refuses and any(client.key in self._bouts for client in self._clients.values())

    def _nobody(self, at: float, standing: Mapping[Key, _Bout]) -> float:
        """For how long nobody has been served, while somebody other than a user of the console is refused."""
        if all(database == CONSOLE for database, _ in standing):
            return 0.0
        if any(at - since < SERVED_SECONDS for key, since in self._served.items() if key not in standing):
            return 0.0
        return at - (self._active if self._active is not None else self.began)

    def _ended(self, at: float, when: datetime, client: _Client, why: str, age: float) -> None:
        """A client has gone: it was refused, or had been inside."""
        if client.key[1] == self.ours:
            return
        if _REFUSED.match(why):
            bout = self._bouts.pop(client.key, None) or _Bout(at, when, at)
            bout.refused(at, when, client.hint or why, client.address)
            self._bouts[client.key] = bout
            if len(self._bouts) > _MOST:
                self._bouts.popitem(last=False)
        elif why == "client close request":  # only who is inside takes leave; the age is cut to whole seconds
            self._let_in(client.key, at - age - 1.0 if client.asked is None else client.asked)

    def _let_in(self, key: Key, since: float) -> None:
        """One who had come at that time was let in."""
        if key[1] == self.ours or key[0] == CONSOLE:
            return
        self._served[key] = max(since, self._served.pop(key, since))
        if len(self._served) > _MOST:
            self._served.popitem(last=False)
        bout = self._bouts.get(key)
        if bout is not None and (not bout.number or since >= bout.first):
            bout.number, bout.excused = 0, max(since, bout.excused or since)

    def _client(self, found: re.Match[str]) -> _Client:
        """Whose line it is: what is known of that one, and where it was not seen to ask what its line says."""
        name, address, port = found["client"], found["address"], found["port"]
        key = _key(found["database"], found["user"])
        client = self._clients.get(name)
        if client is None or (client.address, client.port) != (address, port):  # its memory is another's now
            client = self._clients[name] = _Client(address, port, key)
            self._clients.move_to_end(name)
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        else:
            client.key = (client.key[0] or key[0], client.key[1] or key[1])
        return client

    def _anew(self) -> None:
        """It has read its files again: who was let in before need not be now."""
        self._clients.clear()
        self._served.clear()
        for bout in self._bouts.values():
            bout.excused = None

    def _forget(self, at: float) -> None:
        for key, bout in [*self._bouts.items()]:
            if at - bout.last > QUIET_SECONDS:
                del self._bouts[key]


def _key(database: str, user: str) -> Key:
    return _plain(database.replace("(nodb)", "")), _plain(user.replace("(nouser)", ""))


def _plain(name: str) -> str:
    """Who asks chooses what is in it."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_NAME])


def _who(key: Key) -> str:
    database, user = key
    return f"{database or 'a database that was not told'} as {user or 'a user that was not told'}"
