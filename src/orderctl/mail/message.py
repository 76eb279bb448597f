"""A letter as the bytes of one internet message, put together and checked by the standard library."""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime

from email_validator import EmailNotValidError, validate_email

from orderctl.domain.errors import UsageError
from orderctl.domain.outbox import Letter, Mail

_POLICY = SMTP.clone(cte_type="7bit")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_ADDRESSES = ("From", "To", "Reply-To")
_LANGUAGE = re.compile(r'<html[^>]*\slang="([A-Za-z0-9-]+)"')


class UnsendableError(Exception):
    """The mail can never be sent as it is, whatever the server."""


def ascii_address(text: str) -> str:
    """Exactly one address in the form that every server takes; UnsendableError if there is none."""
    try:
        address = validate_email(text, check_deliverability=False, globally_deliverable=False).ascii_email
    except EmailNotValidError as error:
        raise UnsendableError(f"{text!r} is not one e-mail address: {error}") from None
    if address is None:
        raise UnsendableError(f"{text!r} has letters before the @ that not every mail server takes")
    return address


def check_own_addresses(sender: str, reply_to: str | None) -> None:
    """Raise UsageError if mails could not be sent from, or answered to, these addresses."""
    for key, address in (("mail.sender", sender), ("mail.reply_to", reply_to)):
        try:
            if address or key == "mail.sender":
                ascii_address(address or "")
        except UnsendableError as error:
            raise UsageError(f"{key}: {error}", hint="write it as name@brand.example") from None


def build_message(mail: Mail, letter: Letter, *, sender: str, reply_to: str | None, date: datetime) -> bytes:
    """The message of one mail: to one recipient, as text and as HTML. Raises UnsendableError."""
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise UnsendableError(f"{mail.message_id!r} is not a Message-ID")
    headers = {
        "From": ascii_address(sender),
        "To": ascii_address(mail.recipient),
        "Subject": letter.subject,
        "Date": format_datetime(date),
        "Auto-Submitted": "auto-generated",
    }
    if reply_to:
        headers["Reply-To"] = ascii_address(reply_to)
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
        message[name] = Address(addr_spec=value) if name in _ADDRESSES else value
    return message


def _check(message: bytes, wanted: dict[str, str]) -> None:
    """Read the headers back: each is there once, as it was meant, and none that was not meant."""
    found = BytesHeaderParser(policy=SMTP).parsebytes(message)
    read = [(name, str(value)) for name, value in found.items() if name not in ("MIME-Version", "Content-Type")]
    if sorted(read) != sorted(wanted.items()):
        raise UnsendableError("the message's headers do not read back as they were meant")
