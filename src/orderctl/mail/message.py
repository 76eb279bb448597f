"""A letter as the bytes of one internet message, put together and checked by the standard library."""

import re
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime

from orderctl.domain.outbox import Letter, Mail
from orderctl.mail.addresses import UnsendableError, ascii_address, own_address

_POLICY = SMTP.clone(cte_type="7bit")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_LANGUAGE = re.compile(r'<html[^>]*\slang="([A-Za-z0-9-]+)"')


def build_message(mail: Mail, letter: Letter, *, sender: str, reply_to: str | None, date: datetime) -> bytes:
    """The message of one mail: to one recipient, as text and as HTML. Raises UnsendableError."""
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise UnsendableError(f"{mail.message_id!r} is not a Message-ID")
    headers = {
        "From": str(own_address(sender, "mail.sender")),
        "To": ascii_address(mail.recipient),
        "Subject": letter.subject,
        "Date": format_datetime(date),
        "Auto-Submitted": "auto-generated",
    }
    if reply_to:
        headers["Reply-To"] = str(own_address(reply_to, "mail.reply_to"))
    language = _LANGUAGE.search(letter.html)
    if language:
        headers["Content-Language"] = language[1]
    try:
        # Not through the header machinery, which folds a long Message-ID into encoded words.
        message = f"Message-ID: {mail.message_id}\r\n".encode("ascii") + _message(headers, letter).as_bytes()
    except (ValueError, UnicodeError) as error:
        raise UnsendableError(f"the letter cannot be written as a message: {error}") from None
    _check(message, headers | {"Message-ID": mail.message_id})
    return message


def _message(headers: dict[str, str], letter: Letter) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    # After the parts: adding them moves every Content- header into the first.
    for name, value in headers.items():
        message[name] = value
    return message


def _check(message: bytes, wanted: dict[str, str]) -> None:
    """Read the headers back: each is there once, as it was meant, and none that was not meant."""
    found = BytesHeaderParser(policy=SMTP).parsebytes(message)
    read = [(name, str(value)) for name, value in found.items() if name not in ("MIME-Version", "Content-Type")]
    if sorted(read) != sorted(wanted.items()):
        raise UnsendableError("the message's headers do not read back as they were meant")
