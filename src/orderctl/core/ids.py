"""Makes and reads the ids of batches, plans and events: texts that sort by time (design.md, section 5b)."""

import base64
import re

from orderctl.language import _


def new_id() -> str:
    """A UUIDv7 in lower-case base32hex, which sorts like its bytes: 26 letters and digits."""
    from uuid6 import uuid7  # noqa: PLC0415 - it reads the metadata of packages, which takes 15 ms

    return base64.b32hexencode(uuid7().bytes).decode("ascii").rstrip("=").lower()


LENGTH = 26
SHORTEST_ENDING = 6
_SHOWN = 8
_ENDING = re.compile(rf"\A[0-9a-v]{{{SHORTEST_ENDING},{LENGTH}}}\Z", re.ASCII)


def short_id(own_id: str) -> str:
    """The end of an id, for people. The beginning is the time, which is nearly the same in all of them."""
    return own_id[-_SHOWN:]


def read_ending(text: str) -> str:
    """A typed id or its ending, in lower case. Raises ValueError if it cannot be one."""
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
    """The ending of the batch's id and the mail's number, from `7qb3p16k.12`. Raises ValueError."""
    ending, __, number = text.strip().rpartition(".")
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(_("does not end with a point and the number of a mail"))
    return read_ending(ending), number
