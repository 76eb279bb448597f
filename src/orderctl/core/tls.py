"""Whom a connection may trust: this computer without TLS, and others by their certificates."""

import ipaddress
import ssl

from orderctl.errors import UsageError, os_reason
from orderctl.language import _


def is_loopback(host: str) -> bool:
    """Whether the host is this computer, so that nobody in between can read along."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trusting(ca_file: str | None, key: str) -> ssl.SSLContext:
    """TLS that checks certificates by the file of a setting, or by the system's. Raises UsageError."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageError(
            _("{key}: {path} cannot be used: {why}", key=key, path=ca_file, why=os_reason(error)),
            hint=_("name a file with certificates in PEM form"),
        ) from None
