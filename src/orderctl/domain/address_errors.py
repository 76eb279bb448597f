"""Why a text is no e-mail address, in the operator's language."""

from orderctl.language import later, retell

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
