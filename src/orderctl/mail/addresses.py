"""E-mail addresses: exactly one, in the form that every server takes, and our own with a name."""

from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from orderctl.domain.address_errors import address_reason
from orderctl.domain.errors import UnsendableError, UsageError
from orderctl.domain.mail_details import NOT_ONE_ADDRESS, ODD_ADDRESS
from orderctl.language import say


@lru_cache(maxsize=1024)
def ascii_address(text: str) -> str:
    """Exactly one address in the form that every server takes; UnsendableError if there is none."""
    try:
        address = validate_email(text, check_deliverability=False, globally_deliverable=False).ascii_email
    except EmailNotValidError as error:
        raise UnsendableError(say(NOT_ONE_ADDRESS, address=repr(text), why=address_reason(error))) from None
    if address is None:
        raise UnsendableError(say(ODD_ADDRESS, address=repr(text)))
    return address


@lru_cache(maxsize=8)
def own_address(text: str, key: str) -> Address:
    """An address of the settings, with or without a name: `Nord orders <orders@nord.example>`.

    Raises UsageError that names the setting.
    """
    try:
        (found,) = SMTP.header_factory("From", text).addresses if "<" in text else (Address(addr_spec=text),)
        return Address(found.display_name, addr_spec=ascii_address(found.addr_spec))
    except (UnsendableError, MessageError, ValueError, IndexError) as error:
        why = (
            error.message
            if isinstance(error, UnsendableError)
            else say("{text!r} is not one e-mail address", text=text)
        )
        raise UsageError(
            f"{key}: {why}",
            hint=say("write it as name@brand.example or Name <name@brand.example>"),
        ) from None


def check_own_addresses(sender: str, reply_to: str | None) -> None:
    """Raise UsageError if mails could not be sent from, or answered to, these addresses."""
    own_address(sender, "mail.sender")
    if reply_to:
        own_address(reply_to, "mail.reply_to")


def domain_of(text: str) -> str:
    """The domain of a sender as the settings give it; empty if there is none."""
    return text.rpartition("@")[2].strip(" <>")
