"""Why a text is no e-mail address, in the operator's language."""

from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from orderctl.errors import UnsendableError, UsageError
from orderctl.language import later, retell, say

# As the library that checks addresses words them in English; others stay as they are.
_KNOWN = (
    later("An email address must have an @-sign."),
    later("There must be something before the @-sign."),
    later("There must be something after the @-sign."),
    later("There can't be anything after the email address."),
    later("An email address cannot have two periods in a row."),
    later("An email address cannot start with a period."),
    later("An email address cannot have a period immediately before the @-sign."),
    later("An email address cannot have a period immediately after the @-sign."),
    later("An email address cannot end with a period."),
    later("An email address cannot have a hyphen immediately after the @-sign."),
    later("The part after the @-sign is not valid. It should have a period."),
    later("The part after the @-sign is not valid. It is not within a valid top-level domain."),
    later("The part after the @-sign is a special-use or reserved name that cannot be used with email."),
    later("The part after the @-sign contains invalid characters: {chars}."),
    later("The email address contains invalid characters before the @-sign: {chars}."),
    later("The email address contains unsafe characters: {chars}."),
    later("A display name and angle brackets around the email address are not permitted here."),
    later("Quoting the part before the @-sign is not allowed here."),
    later("A bracketed IP address after the @-sign is not allowed here."),
)


def address_reason(error: ValueError) -> str:
    """The reason that an error of the library gives."""
    return retell(str(error), _KNOWN)


_CACHED = 10_000


@lru_cache(maxsize=_CACHED)
def email_address(text: str) -> str:
    """Exactly one address, as it is to be written; ValueError says what is wrong with it."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(say("is not one e-mail address: {error}", error=address_reason(error))) from None


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


NOT_ONE_ADDRESS = later("{address} is not one e-mail address: {why}")
ODD_ADDRESS = later("{address} has letters before the @ that not every mail server takes")
