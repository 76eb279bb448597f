"""Order ids: text of the outside world. The only place that reads one."""

import re
from unicodedata import normalize

from orderctl.language import say

MAX_LENGTH = 200
# What a spreadsheet makes of a long number, and of one that was to keep its zeros.
_DAMAGED = re.compile(r"\A(\d([.,]\d+)?E\+\d{1,3}|=\".*\")\Z", re.IGNORECASE)
# Spreadsheets turn the id 573415 into the number 573415.0.
_SPREADSHEET_NUMBER = re.compile(r"\A(\d+)\.0\Z")


def refuse_damaged(text: str) -> str:
    """The text of an id or a reference; ValueError if a spreadsheet has made something else of it."""
    if _DAMAGED.match(text):
        raise ValueError(
            say("was damaged by a spreadsheet: export the file anew, and open it only with this column as text")
        )
    return text


def forms_of(order_id: str) -> tuple[str, ...]:
    """The id with its accents composed (NFC), and with its accents apart (NFD) where that is another text."""
    return (
        (order_id,)
        if order_id.isascii()
        else tuple(dict.fromkeys(normalize(form, order_id) for form in ("NFC", "NFD")))
    )


def parse_order_id(text: str) -> str:
    """Read one order id: trimmed, `573415.0` as `573415`; ValueError says what is wrong with it."""
    order_id = text.strip()
    if not order_id:
        raise ValueError(say("is empty"))
    if len(order_id) > MAX_LENGTH:
        raise ValueError(say("is longer than {max_length} characters", max_length=MAX_LENGTH))
    if not order_id.isprintable():
        raise ValueError(say("holds a control character"))
    number = order_id.endswith(".0") and _SPREADSHEET_NUMBER.match(order_id)
    return number[1] if number else order_id
