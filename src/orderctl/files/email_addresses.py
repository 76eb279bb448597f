"""Checks e-mail addresses of buyers."""

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from orderctl.domain.address_errors import address_reason
from orderctl.language import say

_CACHED = 10_000


@lru_cache(maxsize=_CACHED)
def email_address(text: str) -> str:
    """Exactly one address, as it is to be written; ValueError says what is wrong with it."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(say("is not one e-mail address: {error}", error=address_reason(error))) from None
