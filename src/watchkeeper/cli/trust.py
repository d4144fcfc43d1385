"""Whom the command line takes for the server it was configured with, where that speaks TLS itself."""

import re
import ssl
from pathlib import Path

from watchkeeper.domain.errors import ConfigurationError

_FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def pinned(certificate: Path) -> ssl.SSLContext:
    """Trusts this one certificate and nothing else, not even what its authority signs: whoever has its key is the
    server, by whatever name it is asked. Raises ConfigurationError."""
    try:
        found = _FIRST.search(certificate.read_text())
        if found is None:
            raise ConfigurationError(f"{certificate} holds no certificate.", "server.tls.certificate is a file in PEM.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=found[0])
    except (OSError, ssl.SSLError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{certificate} cannot be read: {problem}.", "See server.tls.certificate.") from None
    return context
