"""Mail to a real SMTP server, with STARTTLS and a password."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP as PROTOCOL
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.notify.conftest import Notifies, Story
from watchkeeper.domain import Event, now
from watchkeeper.store import Store


class Postbox:
    """What a server does with mail: takes it, or answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.got: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        self._came = asyncio.Condition()

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        async with self._came:
            self.got.append(mail)
            self.encrypted.append(session.ssl is not None)
            self._came.notify_all()
        return "250 taken"

    async def until(self, number: int) -> list[EmailMessage]:
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: len(self.got) >= number)
        return self.got


def _known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"watchkeeper", b"swordfish")
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def _serving(box: Postbox, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    loop = asyncio.get_running_loop()
    made: list[PROTOCOL] = []

    def protocol() -> PROTOCOL:
        made.append(
            PROTOCOL(
                box,
                hostname="mail.test",
                tls_context=context,
                require_starttls=True,
                auth_required=True,
                authenticator=_known,
                loop=loop,
            )
        )
        return made[-1]

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        for one in made:
            if one.transport is not None:
                one.transport.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def box() -> Postbox:
    return Postbox()


@pytest.fixture
async def mail(
    box: Postbox, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Any]]:
    """How a channel to it is configured."""
    monkeypatch.setenv("MAIL_PASSWORD", "swordfish")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with _serving(box, authority.issue_cert("127.0.0.1")) as port:
        yield {
            "name": "post",
            "kind": "mail",
            "host": "127.0.0.1",
            "port": port,
            "ca": str(tmp_path / "ca.pem"),
            "user": "watchkeeper",
            "password": "env:MAIL_PASSWORD",
            "from": "watchkeeper@shop.example",
            "to": ["ops@shop.example", "ada@shop.example"],
        }


async def test_an_incident_is_one_thread_of_mails_that_go_out_encrypted(
    box: Postbox, mail: dict[str, Any], notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(mail)
    await (await story().opened()).closed()
    first, second = await box.until(2)

    assert box.encrypted == [True, True]
    assert first["Subject"] == "[watchkeeper] CRITICAL full on cache (inc-1)"
    assert second["Subject"] == "Re: [watchkeeper] CRITICAL full on cache (inc-1)"
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert second["Message-ID"] != first["Message-ID"]
    assert first["To"] == "ops@shop.example, ada@shop.example"
    plain, html = (part.get_content() for part in first.iter_parts())
    assert "full on cache: It is full." in plain
    assert "http://127.0.0.1:8000/api/incidents/inc-1" in plain
    assert "<b>full on cache: It is full.</b>" in html


async def test_what_waits_for_a_person_says_how_to_decide_and_markup_in_it_stays_text(
    box: Postbox, mail: dict[str, Any], notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(mail)
    text = "grow <img src=x onerror=alert(1)> waits for a person\r\nBcc: everybody@example.com"
    await story().tell("approval.requested", text, subject="apr-1")
    (got,) = await box.until(1)
    plain, html = (part.get_content() for part in got.iter_parts())

    assert "watchkeeper approve apr-1" in plain
    assert "<code>watchkeeper approve apr-1</code>" in html
    assert "<img" not in html
    assert got["Bcc"] is None


async def test_a_mail_of_something_else_stands_alone(
    box: Postbox, mail: dict[str, Any], notifies: Notifies, kept: Store
) -> None:
    await notifies(mail)
    await kept.emit(Event("breaker.opened", "grow", "grow failed\n three times", now()))
    (got,) = await box.until(1)

    assert got["Subject"] == "[watchkeeper] grow failed three times"
    assert got["In-Reply-To"] is None


async def test_a_server_in_trouble_is_tried_again_and_a_refusal_is_a_dead_letter(
    box: Postbox, mail: dict[str, Any], notifies: Notifies, story: Callable[..., Story]
) -> None:
    box.answers = ["451 busy", "451 busy"]
    one = await notifies(mail)
    await story().opened()
    await box.until(1)
    box.answers = ["554 spam"]
    await story("inc-2").opened()
    await story("inc-3").opened()
    await box.until(2)

    (letter,) = await one.dead()
    assert (letter.incident, letter.reason) == ("inc-2", "554 spam")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"ca": None}, "its certificate is not trusted"),
        ({"password": "env:WRONG"}, "535"),
        ({"port": 1}, "nobody can be reached there"),
    ],
)
async def test_a_check_says_what_is_wrong_and_what_waits_is_not_lost(
    wrong: dict[str, Any],
    why: str,
    box: Postbox,
    mail: dict[str, Any],
    notifies: Notifies,
    story: Callable[..., Story],
    kept: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WRONG", "guessed")
    one = await notifies(mail | wrong)
    assert why in (await one.deliverers["post"].channel.check()).said
    await story().opened()
    async with asyncio.timeout(60):
        while (await one.standings())[0].problem == "":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await one.stop()
    assert (await one.standings())[0].waiting == 1
    assert box.got == []

    await notifies(mail)
    (got,) = await box.until(1)
    assert "inc-1" in got["Subject"]
