"""Secrets that nobody told us of, found by what they look like: before anything is sent to a language model."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from watchkeeper.store.masking import MASK, Masker

PLUGINS = (
    "artifactory.ArtifactoryDetector",
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "basic_auth.BasicAuthDetector",
    "cloudant.CloudantDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "jwt.JwtTokenDetector",
    "mailchimp.MailchimpDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)
"""Of detect-secrets. Not those by entropy: ids and digests look the same, and without them nothing is found again."""
_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_NAMED = re.compile(
    r"""(?ix)
    (?P<start>
      (?:[\w.-]*(?:passw(?:or)?d|passphrase|passwd|\bpwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key
        |auth[_-]?token|[_-]token|\btoken|credential|requirepass|masterauth)[\w-]*)
      \\*["']?\s*(?:=>|[:=]|\bis\b|\s)\s*\\*["']?
    )
    (?P<secret>[^\s"'\\,;})\]<>]{4,})
    """
)
_HEADER = re.compile(
    r"(?i)(?P<start>\b(?:bearer|basic|digest|apikey|x-api-key:?)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{8,})"
)
_AUTH = re.compile(r"(?i)(?P<start>\b(?:AUTH|IDENTIFIED BY|PASSWORD)\s+(?:\S+\s+)?['\"])(?P<secret>[^'\"]{3,})")
_GOOGLE = re.compile(r"\b(?:AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,})")
_OTHERS = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{32,}|shpat_[a-f0-9]{30,})"
)
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_WORDS = frozenset(
    ["required", "authentication", "failed", "incorrect", "wrong", "invalid", "missing", "expired", "null"]
)
"""What follows `password` in messages, and is none."""


class Scanner:
    """Known secrets, and whatever looks like one. Keeps count of what it has masked."""

    def __init__(self, masker: Masker, *, emails: bool = True) -> None:
        self._masker = masker
        self._emails = emails
        self.masked = 0

    def text(self, text: str) -> str:
        """The text without secrets."""
        text, found = self._masker.count(text)
        for pattern in (_BLOCK, _GOOGLE, _OTHERS):
            text, number = pattern.subn(MASK, text)
            found += number
        for pattern in (_HEADER, _AUTH, _NAMED):
            text, number = _subn(pattern, text, _after_its_name)
            found += number
        text, number = _subn(_CARD, text, _card)
        found += number
        if self._emails:
            text, number = _EMAIL.subn(MASK, text)
            found += number
        lines: list[str] = []
        for line in text.split("\n"):
            for secret in _recognised(line):
                if secret and secret in line and MASK not in secret:
                    line = line.replace(secret, MASK)
                    found += 1
            lines.append(line)
        self.masked += found
        return "\n".join(lines)


def _subn(pattern: re.Pattern[str], text: str, by: Callable[[re.Match[str]], str]) -> tuple[str, int]:
    """As `re.subn`, counting only what became another."""
    changed = 0

    def one(match: re.Match[str]) -> str:
        nonlocal changed
        made = by(match)
        changed += made != match[0]
        return made

    return pattern.sub(one, text), changed


def _after_its_name(match: re.Match[str]) -> str:
    secret = match["secret"]
    if secret.lower().rstrip(".:!") in _WORDS or secret.startswith((MASK, "env:", "file:")):
        return match[0]
    return match["start"] + MASK


def _card(match: re.Match[str]) -> str:
    """By the check digit (ISO/IEC 7812-1, annex B), which one number in ten has by chance."""
    digits = [int(one) for one in match[0] if one.isdigit()]
    doubled = [d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits))]
    return MASK if len(digits) >= 13 and digits[0] in (2, 3, 4, 5, 6) and sum(doubled) % 10 == 0 else match[0]


def _recognised(line: str) -> Iterator[str]:
    if len(line) < 12:
        return
    for plugin in _plugins():
        for secret in plugin.analyze_string(line):
            yield str(secret)


@cache
def _plugins() -> tuple[Any, ...]:
    from importlib import import_module

    made: list[Any] = []
    for name in PLUGINS:
        module, _, kind = name.partition(".")
        made.append(getattr(import_module(f"detect_secrets.plugins.{module}"), kind)())
    return tuple(made)
