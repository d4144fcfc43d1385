"""Mail over SMTP: plain text with an HTML alternative, one thread per incident."""

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.utils import format_datetime

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from markupsafe import escape

from watchkeeper.domain.notification import Answer, Message
from watchkeeper.notify.channel import SECONDS, short
from watchkeeper.notify.telling import TOLD
from watchkeeper.settings.notify import MailChannel

PORTS = {"starttls": 587, "tls": 465, "none": 25}
SUBJECT = 200
COLOURS = {"critical": "#b3261e", "warning": "#8a5a00", "info": "#3b5b8c"}


class Mail:
    """Each message has an id made of the event's number, so that one that comes twice is known as the same."""

    kind = "mail"
    hears = TOLD
    collapses = False

    def __init__(self, said: MailChannel, password: str | None) -> None:
        self.name = said.name
        self._said = said
        self._password = password
        self._port = said.port or PORTS[said.tls]

    @property
    def where(self) -> str:
        return f"{', '.join(self._said.to)} by {self._said.host}:{self._port}"

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        return await self._deliver(composed(message, self._said, first=thread is None))

    async def test(self, message: Message) -> Answer:
        return await self._deliver(composed(message, self._said, first=True))

    async def check(self) -> Answer:
        try:
            async with self._open():
                return Answer("delivered", f"{self._said.host}:{self._port} lets it in")
        except (SMTPException, OSError) as problem:
            return Answer("refused", _in_words(problem))

    async def _deliver(self, mail: EmailMessage) -> Answer:
        try:
            async with self._open() as server:
                refused, _ = await server.send_message(mail)
        except SMTPAuthenticationError as problem:
            return Answer("later", _in_words(problem))  # what waits is not lost while the password is wrong
        except SMTPRecipientsRefused as problem:
            codes = [one.code for one in problem.recipients]
            result = "refused" if all(code >= 500 for code in codes) else "later"
            return Answer(result, f"none of {', '.join(self._said.to)} is taken ({_in_words(problem.recipients[0])})")
        except SMTPResponseException as problem:
            return Answer("refused" if problem.code >= 500 else "later", _in_words(problem))
        except (SMTPException, OSError) as problem:
            return Answer("later", _in_words(problem), answered=False)
        but = f", but not for {', '.join(refused)}" if refused else ""
        return Answer("delivered", f"taken by {self._said.host}{but}", thread={})

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[SMTP]:
        said = self._said
        encrypted = said.tls != "none"
        context = ssl.create_default_context(cafile=said.ca) if encrypted else None
        server = SMTP(
            hostname=said.host,
            port=self._port,
            timeout=SECONDS,
            use_tls=said.tls == "tls",
            start_tls=said.tls == "starttls",
            tls_context=context,
        )
        await server.connect()
        try:
            if said.user and self._password:
                await server.login(said.user, self._password)
            yield server
        finally:
            if server.is_connected:
                try:
                    await server.quit()
                except (SMTPException, OSError):
                    server.close()


def composed(message: Message, said: MailChannel, *, first: bool) -> EmailMessage:
    """The mail of a message."""
    mail = EmailMessage()
    domain = said.from_.rsplit("@", 1)[1]
    mail["From"] = said.from_
    mail["To"] = ", ".join(said.to)
    mail["Date"] = format_datetime(message.at)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["X-Watchkeeper-Event"] = message.kind
    incident = message.incident_id
    if incident is None:
        mail["Subject"] = _one_line(f"[watchkeeper] {message.text}")
        mail["Message-ID"] = f"<{message.id}.{said.name}.watchkeeper@{domain}>"
    else:
        title = message.incident.title if message.incident else message.text
        root = f"<{incident}.{said.name}.watchkeeper@{domain}>"
        subject = _one_line(f"[watchkeeper] {message.severity.upper()} {title} ({incident})")
        mail["Subject"] = subject if first else f"Re: {subject}"
        mail["Message-ID"] = root if first else f"<{message.id}.{incident}.{said.name}.watchkeeper@{domain}>"
        if not first:
            mail["In-Reply-To"] = root
            mail["References"] = root
    mail.set_content(_text(message))
    mail.add_alternative(_html(message), subtype="html")
    return mail


def _rows(message: Message) -> list[tuple[str, str]]:
    incident = message.incident
    by_hand = message.data.get("by_hand")
    commands = [str(one) for one in by_hand if one] if isinstance(by_hand, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    said = [
        ("severity", message.severity),
        ("environment", message.environment),
        ("resource", message.slug),
        ("incident", f"{message.incident_id} ({incident.status})" if incident else message.incident_id or ""),
        ("cause", incident.diagnosis.cause if incident and incident.diagnosis else ""),
        ("rules", ", ".join(message.rules)),
        ("by hand", "; ".join(commands)),
        ("at", f"{message.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("what", message.kind),
    ]
    return [(name, value) for name, value in said if value]


def _text(message: Message) -> str:
    lines = [message.text, ""]
    if message.following:
        lines += [f"{message.following[:1].upper()}{message.following[1:]}.", ""]
    lines += [f"{name + ':':<13} {value}" for name, value in _rows(message)]
    lines += ["", *(f"{name + ':':<13} {href}" for name, href in message.links.items())]
    return "\n".join(lines) + "\n"


def _html(message: Message) -> str:
    rows = [
        f'<tr><td style="padding:2px 16px 2px 0;color:#666">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in _rows(message)
    ]
    links = [f'<p><a href="{escape(href)}">{escape(text)}</a></p>' for text, href in message.links.items()]
    following = f"<p>{_code(message.following)}</p>" if message.following else ""
    return (
        '<!doctype html><html><body style="font:15px/1.5 sans-serif">'
        f'<p style="border-left:4px solid {COLOURS[message.severity]};padding-left:12px">'
        f"<b>{escape(message.text)}</b></p>"
        f"{following}<table>{''.join(rows)}</table>{''.join(links)}</body></html>"
    )


def _code(text: str) -> str:
    """As HTML, with its commands set apart."""
    parts = [str(escape(part)) for part in text.split("`")]
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _one_line(text: str) -> str:
    """What may stand in a header."""
    return short(" ".join(text.split()), SUBJECT)


def _in_words(problem: Exception) -> str:
    if isinstance(problem, SMTPResponseException):
        return f"{problem.code} {' '.join(problem.message.split())}"
    if isinstance(problem, SMTPTimeoutError):
        return f"no answer within {SECONDS:g} s"
    if isinstance(problem, SMTPConnectError | SMTPServerDisconnected | OSError):
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        return "its certificate is not trusted" if untrusted else "nobody can be reached there"
    return f"{type(problem).__name__}: {problem}"
