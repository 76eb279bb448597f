"""Order ids: text of the outside world. The only place that reads one."""

import re

from orderctl.language import say

MAX_LENGTH = 200
# Spreadsheets turn the id 573415 into the number 573415.0.
_SPREADSHEET_NUMBER = re.compile(r"\A(\d+)\.0\Z")


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
