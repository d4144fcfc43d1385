"""Secrets stay home: planted wherever something from outside gets in, found in nothing that goes out or is kept."""

from dataclasses import replace

import pytest

from tests.llm.conftest import CACHE, Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always
from watchkeeper.domain import LogLine
from watchkeeper.domain.interaction import Interaction
from watchkeeper.store import Masker, Store
from watchkeeper.store.scanning import Scanner

KEY = "AIzaSyTestKeyThatIsASecret0123456789abcd"
KNOWN = "nothing-tells-that-this-is-one"
"""A secret that only the environment of what is watched tells."""


def joined(*parts: str) -> str:
    """Put together here: what looks like a real credential must not stand in a file that others scan."""
    return "".join(parts)


PLANTED = {
    "password=": ("connecting with password={}", "Tr0ub4dor&3x"),
    "passwd:": ("passwd: {}", "correcthorse9"),
    "in quotes": ('{{"db_password": "{}"}}', "s3cr3t-in-json"),
    "a variable": ("PGPASSWORD={} psql -h db", "pgpass-77abc"),
    "an upper-case one": ("export MYSQL_ROOT_PASSWORD={}", "r00t-of-all"),
    "requirepass": ("CONFIG SET requirepass {}", "redis-p4ss-1"),
    "masterauth": ("masterauth {}", "redis-p4ss-2"),
    "AUTH": ("AUTH default '{}'", "redis p4ss 3"),
    "IDENTIFIED BY": ("CREATE USER x IDENTIFIED BY '{}'", "sql p4ss 4"),
    "SQL": ("ALTER ROLE app PASSWORD '{}'", "sql-p4ss-5"),
    "a URL": ("postgres://app:{}@db:5432/shop", "url-p4ss-6"),
    "a Redis URL": ("redis://:{}@cache:6379/0", "url-p4ss-7"),
    "an AMQP URL": ("amqp://guest:{}@mq/", "url-p4ss-8"),
    "a proxy": ("https_proxy=http://me:{}@proxy:3128", "url-p4ss-9"),
    "bearer": ("Authorization: Bearer {}", "abcdef0123456789abcdef"),
    "basic": ("Authorization: Basic {}", "dXNlcjpodW50ZXIyMjIyMg=="),
    "x-api-key": ("x-api-key: {}", "k3y-k3y-k3y-1"),
    "api_key": ("api_key={}", "k3y-k3y-k3y-2"),
    "client_secret": ("client_secret: {}", "k3y-k3y-k3y-3"),
    "secret key base": ("SECRET_KEY_BASE={}", "0f9e8d7c6b5a49382716"),
    "auth_token": ("auth_token={}", "t0k-t0k-t0k-1"),
    "access token": ("access_token: {}", "t0k-t0k-t0k-2"),
    "token": ("token={}", "t0k-t0k-t0k-3"),
    "AWS id": ("using {} in eu-west-1", joined("AKIA", "IOSFODNN7EXAMPLQ")),
    "AWS secret": ("aws_secret_access_key = {}", joined("wJalrXUtnFEMIK7MDENG", "bPxRfiCYEXAMPLEKEY12")),
    "GitHub": ("remote: {}", joined("ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")),
    "GitLab": ("remote: {}", joined("glpat-", "a1B2c3D4e5F6g7H8i9J0")),
    "Slack": ("hook {}", joined("xoxb-", "123456789012-abcdefABCDEF")),
    "Stripe": ("charge by {}", joined("sk_live_", "a1B2c3D4e5F6g7H8i9J0k1L2")),
    "OpenAI": ("with {}", joined("sk-", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4")),
    "Google": ("with {}", joined("AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q")),
    "Google OAuth": ("with {}", joined("ya29.", "a0AfH6SMBx1234567890abcdefghij")),
    "Hugging Face": ("with {}", joined("hf_", "a1B2c3D4e5F6g7H8i9J0k1L2m3")),
    "npm": ("//registry.npmjs.org/:_authToken={}", joined("npm_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")),
    "SendGrid": ("mail by {}", joined("SG.", "abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")),
    "JWT": ("cookie {}", joined("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N")),
    "Azure": (
        "AccountKey={}",
        joined("lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wY", "UtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ=="),
    ),
    "a private key": (
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "MIIEowIBAAKCAQEA75abcdefgh",
    ),
    "a card": ("paid with {}", "4111 1111 1111 1111"),
    "another card": ("paid with {}", "5500005555555559"),
    "mail": ("user {} cannot log in", "ada.lovelace@example.org"),
    "known": ("it said {} and went on", KNOWN),
}
LINES = [text.format(secret) for text, secret in PLANTED.values()]
ORDINARY = (
    "password authentication failed for user app",
    "used_memory_bytes 16777216 of 20000000, order 1234567890123",
    "FATAL: sorry, too many clients already (100 of 100)",
    "GET /token 200 in 12 ms, request 3f9a1c2b-77aa",
    "2026-11-22T21:19:50.123456+00:00 container 9f86d081884c7d659a2f",
)


def scanner(*, emails: bool = True) -> Scanner:
    masker = Masker()
    masker.learn_environment({"SERVICE_TOKEN": KNOWN})
    return Scanner(masker, emails=emails)


@pytest.mark.parametrize("planted", list(PLANTED))
def test_a_secret_is_masked_and_counted(planted: str) -> None:
    text, secret = PLANTED[planted]
    masks = scanner()
    assert secret not in masks.text(text.format(secret))
    assert masks.masked >= 1


@pytest.mark.parametrize("line", ORDINARY)
def test_what_is_no_secret_stays_readable(line: str) -> None:
    masks = scanner()
    assert masks.text(line) == line
    assert masks.masked == 0


def test_mail_addresses_are_masked_by_configuration() -> None:
    assert scanner(emails=False).text("user ada@example.org") == "user ada@example.org"


async def test_none_that_is_planted_is_in_a_prompt_a_record_an_event_or_an_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In log lines, an alert's reason, facts of a reading, a tool's output, and the model's own words."""
    monkeypatch.setenv("TEST_GEMINI", KEY)
    store.masker.learn_environment({"SERVICE_TOKEN": KNOWN})
    about, at = case()
    one = at.readings[CACHE]
    facts = {**one.facts, **{f"fact_{n}": line for n, line in enumerate(LINES)}}
    alerts = tuple(replace(alert, why="; ".join(LINES[:3])) for alert in at.alerts)
    at = replace(at, readings={CACHE: replace(one, facts=facts)}, alerts=alerts)
    lines = [LogLine(at.at, "ERROR", line, CACHE) for line in LINES]
    around = Around(at, lines, answers={"redis_info": {"lines": LINES[20:]}})
    looks = [
        Reply(call=("look", {"tool": "logs", "resource": "cache", "arguments": [{"name": "text", "value": word}]}))
        for word in ("a", "e", "user")
    ]
    info = Reply(call=("look", {"tool": "redis_info", "resource": "cache", "arguments": []}))
    tells = Reply(call=("hand_in", answer(cause="; ".join(LINES)[:2000], reasoning=LINES[-1])))
    async with Loopback(always(*looks, info, tells)) as server:
        found = await planner(store, server.url, around, prompt_tokens=20_000).plan(about, at)
    assert found.plan is not None, found.passed
    assert "ERROR" in server.requests[0].text
    kept = await store.select(Interaction, incident=about.id)
    told = await store.events(incident=about.id)
    everything = "".join(request.text for request in server.requests) + str(kept) + str(told) + str(found.plan)
    assert [name for name, (_, secret) in PLANTED.items() if secret in everything] == []
    assert KEY not in everything
    assert sum(one.masked for one in kept) >= len(PLANTED)
