"""A letter as the bytes of one internet message, put together and checked by the standard library.

The same mail and letter give the same bytes, whenever they are asked for. What a run sends thousands of
times, from the sender's address to the name of an encoding, is parsed and folded once.
"""

import hashlib
import re
from email.header import decode_header, make_header
from email.headerregistry import HeaderRegistry
from email.message import MIMEPart
from email.parser import BytesHeaderParser
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import lru_cache

from orderctl.domain.errors import UnsendableError
from orderctl.domain.mail_details import NO_MESSAGE, NO_MESSAGE_ID, ODD_HEADERS
from orderctl.domain.outbox import Letter, Mail
from orderctl.language import say
from orderctl.mail.addresses import ascii_address, own_address

_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_LANGUAGE = re.compile(r'<html[^>]*\slang="([A-Za-z0-9-]+)"')
_LINE_END = re.compile(r"\r\n|\r|\n")


class _Headers(HeaderRegistry):
    """The library's headers, each parsed once: their values cannot be changed."""

    __call__ = lru_cache(maxsize=4096)(HeaderRegistry.__call__)
    __getitem__ = lru_cache(maxsize=256)(HeaderRegistry.__getitem__)


class _Policy(EmailPolicy):
    """The library's policy, which folds each header once."""

    @lru_cache(maxsize=4096)  # noqa: B019 - there is one policy
    def fold_binary(self, name: str, value: str) -> bytes:
        """See `EmailPolicy`."""
        return super().fold_binary(name, value)


_POLICY = _Policy(linesep="\r\n", cte_type="7bit", header_factory=_Headers())


def build_message(mail: Mail, letter: Letter, *, sender: str, reply_to: str | None) -> bytes:
    """The message of one mail: to one recipient, as text and as HTML. Raises UnsendableError.

    It is dated when the mail became due, so that every look at it shows what the buyer got.
    """
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise UnsendableError(say(NO_MESSAGE_ID, text=repr(mail.message_id)))
    headers = {
        "Message-ID": mail.message_id,
        "From": str(own_address(sender, "mail.sender")),
        "To": ascii_address(mail.recipient),
        "Subject": letter.subject,
        "Date": format_datetime(mail.next_attempt_at.replace(microsecond=0)),
        "Auto-Submitted": "auto-generated",
    }
    if reply_to:
        headers["Reply-To"] = str(own_address(reply_to, "mail.reply_to"))
    language = _LANGUAGE.search(letter.html)
    if language:
        headers["Content-Language"] = language[1]
    try:
        head = b"".join(_folded(name, value) for name, value in headers.items())
        parts = [_part(letter.text, "plain"), _part(letter.html, "html")]
    except (ValueError, UnicodeError) as error:
        raise UnsendableError(say(NO_MESSAGE, why=error)) from None
    _check(head, headers)
    return head + _alternative(parts, mail.message_id)


def _folded(name: str, value: str) -> bytes:
    """One header as its lines. Raises ValueError for a value that holds a line break."""
    if "\r" in value or "\n" in value:
        raise ValueError(say("the header {name} must not hold a line break", name=name))
    short = len(name) + len(value) + 2 <= _POLICY.max_line_length  # type: ignore[operator]
    if name == "Message-ID" or (short and value.isascii() and value.isprintable() and "=?" not in value):
        # As it is: there is nothing to encode or to fold, and a Message-ID must not be, however long it is.
        return f"{name}: {value}\r\n".encode("ascii")
    return _POLICY.fold_binary(name, _POLICY.header_factory(name, value))


def _part(text: str, subtype: str) -> bytes:
    """One part with its headers: the library encodes the text, as its generator would write it line by line."""
    part = MIMEPart(policy=_POLICY)
    part.set_content(text, subtype=subtype)
    headers = b"".join(_POLICY.fold_binary(name, value) for name, value in part.items())
    return headers + b"\r\n" + _LINE_END.sub("\r\n", str(part.get_payload())).encode("ascii")


def _alternative(parts: list[bytes], message_id: str) -> bytes:
    """The parts as one multipart/alternative body with its own headers (RFC 2046, 5.1)."""
    boundary = f"=_{hashlib.sha256(message_id.encode('ascii')).hexdigest()[:32]}"
    while any(boundary.encode("ascii") in part for part in parts):
        boundary += "_"
    line = f"--{boundary}".encode("ascii")
    headers = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts)
    return headers.encode("ascii") + body + line + b"--\r\n"


def _check(head: bytes, wanted: dict[str, str]) -> None:
    """Read the headers back: each is there once, as it was meant, and none that was not meant."""
    read = [(name, _unfolded(value)) for name, value in BytesHeaderParser().parsebytes(head + b"\r\n").items()]
    if read != list(wanted.items()):
        raise UnsendableError(say(ODD_HEADERS))


def _unfolded(value: str) -> str:
    """A header's value as its reader sees it."""
    line = value.replace("\r\n", "")
    return str(make_header(decode_header(line))) if "=?" in line else line
