"""Ids that we make, for batches, plans and events: text whose order is that of time (design.md, section 5b)."""

import base64
import re

import uuid6

from orderctl.language import _


def new_id() -> str:
    """A UUIDv7 in lower-case base32 with an alphabet that keeps its order: 26 letters and digits."""
    return base64.b32hexencode(uuid6.uuid7().bytes).decode("ascii").rstrip("=").lower()


LENGTH = 26
SHORTEST_ENDING = 6
_SHOWN = 8
_ENDING = re.compile(rf"\A[0-9a-v]{{{SHORTEST_ENDING},{LENGTH}}}\Z", re.ASCII)


def short_id(own_id: str) -> str:
    """The ending that is shown to people; the beginning is the time, and much the same in all."""
    return own_id[-_SHOWN:]


def read_ending(text: str) -> str:
    """An id or its ending as typed, in lower case. ValueError if it can be neither."""
    ending = text.strip().lower()
    if not _ENDING.match(ending):
        raise ValueError(
            _(
                "is no id and no ending of one ({shortest_ending} to {length} letters a to v and digits)",
                shortest_ending=SHORTEST_ENDING,
                length=LENGTH,
            )
        )
    return ending


def split_mail_id(text: str) -> tuple[str, str]:
    """The ending of the batch's id, and the mail's number in it: `7qb3p16k.12`. ValueError if it can be neither."""
    ending, __, number = text.strip().rpartition(".")
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(_("does not end with a point and the number of a mail"))
    return read_ending(ending), number
