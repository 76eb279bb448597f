"""Reads and checks e-mail addresses: of buyers in files, of mails, and of the settings."""

from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from orderctl.errors import NOT_ONE_ADDRESS, ODD_ADDRESS, UnsendableError, UsageError
from orderctl.language import N_, _, retell

# Messages of the e-mail-validator library that are translated; others stay English.
_KNOWN = (
    N_("An email address must have an @-sign."),
    N_("There must be something before the @-sign."),
    N_("There must be something after the @-sign."),
    N_("There can't be anything after the email address."),
    N_("An email address cannot have two periods in a row."),
    N_("An email address cannot start with a period."),
    N_("An email address cannot have a period immediately before the @-sign."),
    N_("An email address cannot have a period immediately after the @-sign."),
    N_("An email address cannot end with a period."),
    N_("An email address cannot have a hyphen immediately after the @-sign."),
    N_("The part after the @-sign is not valid. It should have a period."),
    N_("The part after the @-sign is not valid. It is not within a valid top-level domain."),
    N_("The part after the @-sign is a special-use or reserved name that cannot be used with email."),
    N_("The part after the @-sign contains invalid characters: {chars}."),
    N_("The email address contains invalid characters before the @-sign: {chars}."),
    N_("The email address contains unsafe characters: {chars}."),
    N_("A display name and angle brackets around the email address are not permitted here."),
    N_("Quoting the part before the @-sign is not allowed here."),
    N_("A bracketed IP address after the @-sign is not allowed here."),
)


def address_reason(error: ValueError) -> str:
    """The reason in an error of the library, in the operator's language."""
    return retell(str(error), _KNOWN)


_CACHED = 10_000


@lru_cache(maxsize=_CACHED)
def email_address(text: str) -> str:
    """Exactly one address in its normal form. Raises ValueError that says what is wrong."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(_("is not one e-mail address: {error}", error=address_reason(error))) from None


@lru_cache(maxsize=1024)
def ascii_address(text: str) -> str:
    """Exactly one address in the ASCII form that every server accepts. Raises UnsendableError."""
    try:
        address = validate_email(text, check_deliverability=False, globally_deliverable=False).ascii_email
    except EmailNotValidError as error:
        raise UnsendableError(_(NOT_ONE_ADDRESS, address=repr(text), why=address_reason(error))) from None
    if address is None:
        raise UnsendableError(_(ODD_ADDRESS, address=repr(text)))
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
            error.message if isinstance(error, UnsendableError) else _("{text!r} is not one e-mail address", text=text)
        )
        raise UsageError(
            f"{key}: {why}", hint=_("write it as name@brand.example or Name <name@brand.example>")
        ) from None


def check_own_addresses(sender: str, reply_to: str | None) -> None:
    """Raise UsageError unless mails can be sent from `sender` and answered to `reply_to`."""
    own_address(sender, "mail.sender")
    if reply_to:
        own_address(reply_to, "mail.reply_to")


def domain_of(text: str) -> str:
    """The domain of a sender in the settings; empty if there is none."""
    return text.rpartition("@")[2].strip(" <>")
