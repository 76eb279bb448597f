"""Builds the bytes of an internet message from a letter, and reads its headers back to check them.

The same mail and letter always give the same bytes. What all messages share, such as the name of an encoding, is parsed
and folded once.
"""

import hashlib
import re
import string
from base64 import b64encode
from collections.abc import Iterable
from email.header import decode_header, make_header
from email.headerregistry import Address, HeaderRegistry
from email.message import MIMEPart
from email.parser import BytesHeaderParser
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from orderctl.core.addresses import ascii_address, own_address
from orderctl.delivery.outbox import NO_MESSAGE
from orderctl.errors import UnsendableError
from orderctl.language import _
from orderctl.mail.outbox import NO_MESSAGE_ID, ODD_HEADERS, OWN_ID, Letter, Mail

_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_LANGUAGE = re.compile(r'<html[^>]*\slang="([A-Za-z0-9-]+)"')
_NEVER_ENCODED = frozenset({"Message-ID", OWN_ID, "To", "Cc", "In-Reply-To", "References"})
_FOLDED = frozenset({"Cc", "References"})
_LINE_END = re.compile(r"\r\n|\r|\n")


class _Headers(HeaderRegistry):
    """The headers of the standard library, each parsed once: their values are immutable."""

    __call__ = lru_cache(maxsize=4096)(HeaderRegistry.__call__)
    __getitem__ = lru_cache(maxsize=256)(HeaderRegistry.__getitem__)


class _Policy(EmailPolicy):
    """The policy of the standard library, which folds each header of a part once."""

    @lru_cache(maxsize=4096)  # noqa: B019 - there is one policy
    def fold_binary(self, name: str, value: str) -> bytes:
        return super().fold_binary(name, value)


_POLICY = _Policy(linesep="\r\n", cte_type="7bit", header_factory=_Headers())
_LONGEST_LINE = 78
# RFC 2047: an encoded word has at most 75 characters, a line with one at most 76.
_LONGEST_ENCODED_LINE = 76
_AROUND = len("=?utf-8?q??=")
# What an encoded word may hold unencoded in any header (RFC 2047, 5).
_AS_IS = frozenset(letter.encode("ascii") for letter in f"{string.ascii_letters}{string.digits}!*+-/")


def build_message(mail: Mail, letter: Letter, *, sender: str, reply_to: str | None, cc: tuple[str, ...] = ()) -> bytes:
    """The message of one mail: to one recipient, as text and as HTML. Raises UnsendableError.

    Its date is when the mail became due, so that it always looks as the buyer got it. `cc` are the copies by setting
    that it tells of, beside those by buyer; unseen ones stand in no header.
    """
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise UnsendableError(_(NO_MESSAGE_ID, text=repr(mail.message_id)))
    headers: dict[str, str | Address] = {
        "Message-ID": mail.message_id,
        OWN_ID: mail.message_id,
        "From": own_address(sender, "mail.sender"),
        "To": ascii_address(mail.recipient),
        "Subject": letter.subject,
        "Date": format_datetime(mail.next_attempt_at.replace(microsecond=0)),
        "Auto-Submitted": "auto-generated",
    }
    if cc := copies_of(mail, cc, mail.cc):
        headers["Cc"] = ", ".join(cc)
    if mail.earlier:
        # RFC 5322, 3.6.4. The newest one is answered, so that mail programs show them as one talk.
        headers["In-Reply-To"] = mail.earlier[-1]
        headers["References"] = " ".join(mail.earlier)
    if reply_to:
        headers["Reply-To"] = own_address(reply_to, "mail.reply_to")
    language = _LANGUAGE.search(letter.html)
    if language:
        headers["Content-Language"] = language[1]
    try:
        head = b"".join(_written(name, value) for name, value in headers.items())
        parts = [_part(letter.text, "plain"), *([_part(letter.html, "html")] if letter.html else [])]
    except (ValueError, UnicodeError) as error:
        raise UnsendableError(_(NO_MESSAGE, why=error)) from None
    _check(head, headers)
    return head + (_alternative(parts, mail.message_id) if letter.html else b"MIME-Version: 1.0\r\n" + parts[0])


def copies_of(mail: Mail, *given: Iterable[str]) -> tuple[str, ...]:
    """These addresses in the form that every server accepts, each once, without the recipient. Raises UnsendableError.

    A store can hold what no import lets in: nothing but an address reaches a header or a server.
    """
    addresses = dict.fromkeys(ascii_address(each) for some in given for each in some)
    addresses.pop(ascii_address(mail.recipient), None)
    return tuple(addresses)


def _written(name: str, value: str | Address) -> bytes:
    """One header as lines. Raises ValueError for a value that holds a line break.

    A value that is not plain is encoded as a whole and here: the folding of Python 3.11 to 3.13 loses spaces between
    encoded words, and raises for some texts.
    """
    shown = str(value)
    if "\r" in shown or "\n" in shown:
        raise ValueError(_("the header {name} must not hold a line break", name=name))
    text, last = (value.display_name, f" <{value.addr_spec}>") if isinstance(value, Address) else (value, "")
    # A Message-ID and an address must not be encoded, however long they are.
    if name in _NEVER_ENCODED or not text or _is_plain(name, shown):
        if name in _FOLDED:
            shown = shown.replace(" ", "\r\n ")  # each on a line of its own: a line may not be endless
        return f"{name}: {shown}\r\n".encode("ascii")
    words = _encoded_words(text, first=_LONGEST_ENCODED_LINE - len(name) - 2)
    if last and len(name) + 3 + len(words[-1]) + len(last) > _LONGEST_ENCODED_LINE:
        last = f"\r\n{last}"
    folded = "\r\n ".join(words)
    return f"{name}: {folded}{last}\r\n".encode("ascii")


def _is_plain(name: str, value: str) -> bool:
    """Whether the value fits unencoded on one line of its header."""
    short = len(name) + len(value) + 2 <= _LONGEST_LINE
    return short and value.isascii() and value.isprintable() and "=?" not in value and value == " ".join(value.split())


def _encoded_words(text: str, *, first: int) -> list[str]:
    """The text as encoded words, none of which splits a character; `first` is the room of the first one.

    Readers drop the line breaks and spaces between the words (RFC 2047, 6.2), but not those inside.
    """
    octets = [letter.encode("utf-8") for letter in text]
    quoted = [_quoted(each) for each in octets]
    in_base64 = 4 * sum(map(len, octets)) < 3 * sum(map(len, quoted))
    words, room = [b""], first - _AROUND
    for piece in octets if in_base64 else quoted:
        if words[-1] and len(words[-1]) + len(piece) > (room // 4 * 3 if in_base64 else room):
            words.append(b"")
            room = _LONGEST_ENCODED_LINE - 1 - _AROUND
        words[-1] += piece
    if in_base64:
        return [f"=?utf-8?b?{b64encode(word).decode('ascii')}?=" for word in words]
    return [f"=?utf-8?q?{word.decode('ascii')}?=" for word in words]


def _quoted(octets: bytes) -> bytes:
    if octets == b" ":
        return b"_"
    return octets if octets in _AS_IS else b"".join(b"=%02X" % octet for octet in octets)


def _part(text: str, subtype: str) -> bytes:
    """One part with its headers. The library encodes the text, as its generator would."""
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


def _check(head: bytes, wanted: dict[str, str | Address]) -> None:
    """Read the headers back: each must be there once, with its value, and no other."""
    read = [(name, value.replace("\r\n", "")) for name, value in BytesHeaderParser().parsebytes(head + b"\r\n").items()]
    if [name for name, __ in read] != list(wanted) or not all(_means(line, wanted[name]) for name, line in read):
        raise UnsendableError(_(ODD_HEADERS))


def _means(line: str, wanted: str | Address) -> bool:
    """Whether a reader of the header sees the intended value."""
    if isinstance(wanted, str):
        return _decoded(line) == wanted
    name, address = parseaddr(line)
    return (_decoded(name), address) == (wanted.display_name, wanted.addr_spec)


def _decoded(line: str) -> str:
    return str(make_header(decode_header(line))) if "=?" in line else line
