"""Carries one check out, once."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from watchkeeper.connectors.asking import ask, client, unmet
from watchkeeper.domain import WatchkeeperError
from watchkeeper.settings import secret
from watchkeeper.settings.checks import CheckSettings
from watchkeeper.settings.part import REFERENCE

MOST = 4096
"""Bytes of a command's output that are kept, the last ones; all of it is read, so that it never waits for us."""
SHOWN = 200
_ROWS = 1000
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ")


@dataclass(frozen=True, slots=True)
class Result:
    """`problem` is empty where all was as expected."""

    problem: str
    seconds: float


async def carry_out(check: CheckSettings) -> Result:
    """Never raises for what may happen to it; it takes `timeout` seconds at most, and a second to end a command."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(check.timeout):
            problem = await _WAYS[check.way](check)
    except TimeoutError:
        problem = f"no answer within {check.timeout:g} s"
    except ConnectionRefusedError:
        problem = "nothing accepts connections there"
    except (OSError, psycopg.Error, WatchkeeperError) as failed:
        problem = " ".join(str(failed).split()) or type(failed).__name__
    took = time.perf_counter() - begun
    within = check.expect.within
    if not problem and check.http is None and within is not None and took > within:
        problem = f"it took {took * 1000:.0f} ms, wanted {within * 1000:.0f} ms"
    return Result(problem[: SHOWN * 2], took)


async def _http(check: CheckSettings) -> str:
    headers = _resolved(check.headers)
    async with client(headers=headers) as http:
        return unmet(await ask(http, str(check.http), timeout=check.timeout), check.expect)


async def _tcp(check: CheckSettings) -> str:
    host, _, port = str(check.tcp).rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""


async def _sql(check: CheckSettings) -> str:
    """In a transaction that may only read and that the server ends in time; only one statement can be prepared."""
    assert check.sql is not None
    parts = urlsplit(check.sql.url)
    connection = await psycopg.AsyncConnection[tuple[Any, ...]].connect(
        host=parts.hostname,
        port=parts.port or 5432,
        user=check.sql.username or unquote(parts.username or "") or None,
        password=secret(check.sql.password) if check.sql.password else None,
        dbname=parts.path.strip("/") or None,
        application_name="watchkeeper-check",
        connect_timeout=max(2, int(check.timeout)),
    )
    try:
        await connection.set_read_only(True)
        limit = f"SET LOCAL statement_timeout = {int(check.timeout * 1000)}"
        await connection.execute(limit.encode())
        cursor = await connection.execute(check.sql.query.encode(), prepare=True)
        rows = await cursor.fetchmany(_ROWS) if cursor.description else []
        await connection.rollback()
    finally:
        connection.pgconn.finish()
    return _judged(check, rows)


def _judged(check: CheckSettings, rows: list[tuple[Any, ...]]) -> str:
    expect = check.expect
    if expect.rows is not None and len(rows) != expect.rows:
        return f"{len(rows)} rows, wanted {expect.rows}"
    if expect.value is None and expect.at_least is None and expect.at_most is None:
        return ""
    if not rows:
        return "no row came back"
    found = rows[0][0]
    if expect.value is not None and str(found) != str(expect.value) and found != expect.value:
        return f"found {str(found)[:80]!r}, wanted {expect.value!r}"
    if expect.at_least is None and expect.at_most is None:
        return ""
    try:
        number = float(found)
    except (TypeError, ValueError):
        return f"found {str(found)[:80]!r}, which is no number"
    if expect.at_least is not None and number < expect.at_least:
        return f"found {number:g}, wanted at least {expect.at_least:g}"
    if expect.at_most is not None and number > expect.at_most:
        return f"found {number:g}, wanted at most {expect.at_most:g}"
    return ""


async def _command(check: CheckSettings) -> str:
    """Without a shell, in a process group of its own that is ended with it."""
    assert check.command is not None
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *check.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**kept, **_resolved(check.environment)},
        start_new_session=True,
    )
    try:
        output = await _last_of(process)
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind, and itself where it hangs
        if process.returncode is None:
            await asyncio.shield(process.wait())
    said = " ".join(output.split())[-SHOWN:]
    if code != check.expect.exit_code:
        ended = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
        return f"{check.command[0]} {ended}, wanted {check.expect.exit_code}" + (f": {said}" if said else "")
    if check.expect.contains is not None and check.expect.contains not in output:
        return f"its output does not contain {check.expect.contains!r}" + (f": {said}" if said else "")
    return ""


async def _last_of(process: asyncio.subprocess.Process) -> str:
    kept = b""
    assert process.stdout is not None
    while part := await process.stdout.read(1 << 16):
        kept = (kept + part)[-MOST:]
    return kept.decode(errors="replace")


def _resolved(given: Mapping[str, str]) -> dict[str, str]:
    """With the secrets they refer to. Raises ConfigurationError."""
    return {name: secret(said) if said.startswith(REFERENCE) else said for name, said in given.items()}


_WAYS = {"http": _http, "tcp": _tcp, "sql": _sql, "command": _command}
