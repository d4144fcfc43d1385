"""Scripts, arguments and content arrive as they are, whatever they contain."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sshd_fixtures import Sshd

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts import LocalShell, Shell
from watchkeeper.hosts.shell import compose

NASTY = [
    "'",
    '"',
    "$(touch /tmp/owned)",
    "`id`",
    "; exit 7",
    "\\",
    "\n\n",
    "-e",
    "%s%n",
    "END",
    "main",
    "\x01\x7f",
    "💥",
    "",
]
WORDS = st.lists(st.one_of(st.sampled_from(NASTY), st.text().map(lambda t: t.replace("\0", ""))), max_size=6)
EACH = 'for word in "$@"; do printf "%s\\0" "$word"; done'


@pytest.fixture(scope="module", params=["local", "ssh"])
async def shell(request: pytest.FixtureRequest, sshd: Sshd) -> AsyncIterator[Shell]:
    opened = LocalShell() if request.param == "local" else sshd.shell()
    yield opened
    await opened.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=WORDS, content=st.binary(max_size=300))
async def test_arguments_and_content_arrive_as_they_are(shell: Shell, words: list[str], content: bytes) -> None:
    words = [
        word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") for word in words if _sayable(word)
    ]
    out = await shell.run(EACH + "\ncat", words, content=content)
    assert out.exit_code == 0, out.stderr
    assert out.stdout == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words) + content


def _sayable(word: str) -> bool:
    try:
        word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@given(words=WORDS)
def test_nothing_of_an_argument_has_a_meaning_to_a_shell(words: list[str]) -> None:
    told = compose("true", [word for word in words if _sayable(word)], None).decode()
    for line in told.splitlines():
        if line.startswith("x="):
            inside = line.removeprefix("x=$(printf %b '").removesuffix("x')")
            assert not set(inside) & set("'\"$`;|&<>(){}*?[]#~! \n")


async def test_a_nul_is_refused(shell: Shell) -> None:
    with pytest.raises(WatchkeeperError, match="NUL"):
        await shell.run("true", ["a\0b"])


async def test_a_script_that_breaks_off_does_nothing(shell: Shell) -> None:
    whole = compose("echo half", [], None)
    process = await asyncio.create_subprocess_exec(
        "sh", "-s", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(whole[: whole.index(b'main "$@"') + 3])
    assert out == b""


async def test_a_command_in_it_cannot_read_on_in_the_script(shell: Shell) -> None:
    out = await shell.run("cat; echo after")
    assert out.stdout == b"after\n"


async def test_a_script_that_hangs_is_cut_off(shell: Shell) -> None:
    with pytest.raises(WatchkeeperError, match=r"did not end within 0.5 s"):
        await shell.run("sleep 1000", timeout=0.5)


async def test_lines_come_as_they_are_written(shell: Shell) -> None:
    following = shell.follow('echo "$1"; exec sleep 1000', ["first line"])
    async with asyncio.timeout(30):
        assert (await anext(following)).rstrip() == b"first line"
    await following.aclose()  # type: ignore[attr-defined]


def wchan(pid: int) -> str:
    """What it waits for in the kernel."""
    place = Path(f"/proc/{pid}/wchan")
    return place.read_text() if place.exists() else "gone"


async def test_what_floods_is_ended_although_nobody_reads_it_any_more() -> None:
    lines = cast("AsyncGenerator[bytes]", LocalShell().follow("echo $$; exec yes"))
    pid = int(await anext(lines))
    waits = 0
    while waits < 20:  # until what is held of it is full, so that it waits to be read
        waits = waits + 1 if wchan(pid).endswith("pipe_write") else 0
        await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await lines.aclose()
    assert wchan(pid) == "gone"
