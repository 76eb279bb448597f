"""The rows of the picker: columns that fit the width, wide characters aligned, the refused dimmed with the reason."""

from collections.abc import Mapping

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from orderctl.domain.eligibility import Rule
from orderctl.domain.orders import Order
from orderctl.domain.picking import PickList
from orderctl.domain.text import safe
from orderctl.language import later, say
from orderctl.terminal.amounts import shown_amount
from orderctl.terminal.styles import STATUS_STYLES

_HEADERS = {
    "id": later("Order"),
    "buyer": later("Buyer"),
    "status": later("Status"),
    "ordered": later("Ordered"),
    "season": later("Season"),
    "total": later("Total"),
    "currency": "",
    "reason": later("Cannot be rejected"),
}
_OPTIONAL = ("ordered", "season")
_RIGHT = {"total"}
_LONGEST = {"id": 24, "season": 12, "reason": 24}
_SHORTEST = {"reason": 12, "status": 8, "id": 10}
_BUYER = (12, 24, 40)  # at least, before another column is added, and at most
_LEAD = 6  # the cursor's sign and the tick box


class PickRows:
    """Draws the rows of one list for one width."""

    def __init__(self, picks: PickList) -> None:
        self._picks = picks
        self._natural = _natural(picks)
        self._width = 0
        self._columns: Mapping[str, int] = {}

    def header(self, width: int) -> StyleAndTextTuples:
        """The names of the columns."""
        fitting = self._fitting(width).items()
        cells = (_fit(_title(name), cells, right=name in _RIGHT) + _gap(name) for name, cells in fitting)
        return [("class:header", " " * _LEAD + "".join(cells))]

    def row(self, row: int, width: int) -> StyleAndTextTuples:
        """One shown row."""
        picks = self._picks
        order, rule = picks.order(row), picks.refused(row)
        ticked, here = picks.is_ticked(row), row == picks.row
        lead = ">" if here else "|" if picks.is_marked(row) else " "
        whole = "class:cursor" if here else "class:marked" if picks.is_marked(row) else ""
        faint = "class:refused" if rule else ""
        drawn: StyleAndTextTuples = [
            (whole, f"{lead} "),
            (f"{whole} class:tick" if ticked else f"{whole} {faint}", "[x] " if ticked else "[ ] "),
        ]
        texts = _texts(order) | {"reason": _reason(rule)}
        for name, cells in self._fitting(width).items():
            style = f"class:status.{STATUS_STYLES[order.status]}" if name == "status" and not rule else faint
            drawn.append((f"{whole} {style}", _fit(texts[name], cells, right=name in _RIGHT)))
            drawn.append((whole, _gap(name)))
        return drawn

    def _fitting(self, width: int) -> Mapping[str, int]:
        """The columns with their widths; worked out anew when the terminal's width changes."""
        if width != self._width:
            self._width, self._columns = width, _columns(self._natural, width - _LEAD)
        return self._columns


def _columns(natural: Mapping[str, int], width: int) -> Mapping[str, int]:
    least, ample, most = _BUYER
    needed = {name: cells for name, cells in natural.items() if cells and name not in _OPTIONAL}
    for name in ("reason", "status", "id"):
        lacking = least - _left(needed, width)
        if lacking > 0 and name in needed:
            needed[name] = max(_SHORTEST[name], needed[name] - lacking)
    for name in _OPTIONAL:
        if natural[name] and _left({**needed, name: natural[name]}, width) >= ample:
            needed[name] = natural[name]
    needed["buyer"] = max(1, min(most, _left(needed, width)))
    return {name: needed[name] for name in _HEADERS if name in needed}


def _left(columns: Mapping[str, int], width: int) -> int:
    """The cells that are left for the buyer beside these columns."""
    others = [cells for name, cells in columns.items() if name != "buyer"]
    return width - sum(others) - sum(len(_gap(name)) for name in columns) - len(_gap("buyer"))


def _gap(column: str) -> str:
    """What stands between a column and the next; an amount and its currency belong together."""
    return {"total": " ", "reason": ""}.get(column, "  ")


def _natural(picks: PickList) -> Mapping[str, int]:
    """How wide each column is at most."""
    widths = dict.fromkeys(_HEADERS, 0)
    for row, order in enumerate(picks.orders):
        rule = picks.refused(row)
        for name, text in (_texts(order) | {"reason": _reason(rule)}).items():
            widths[name] = max(widths[name], len(text) if text.isascii() else get_cwidth(text))
    return {
        name: max(min(cells, _LONGEST.get(name, cells)), get_cwidth(_title(name))) if cells else 0
        for name, cells in widths.items()
    }


def _title(column: str) -> str:
    return say(_HEADERS[column]) if _HEADERS[column] else ""


def _reason(rule: Rule | None) -> str:
    return say(rule.reason) if rule else ""


def _texts(order: Order) -> dict[str, str]:
    return {
        "id": safe(order.id),
        "buyer": safe(order.buyer.name) if order.buyer else "",
        "status": order.status.value,
        "ordered": order.ordered_at.date().isoformat(),
        "season": safe(order.season),
        "total": shown_amount(order.total, order.currency),
        "currency": safe(order.currency),
    }


def _fit(text: str, cells: int, *, right: bool) -> str:
    """The text in exactly so many cells: cut with an ellipsis, or filled up."""
    taken = len(text) if text.isascii() else get_cwidth(text)
    if taken > cells:
        kept, taken = "", 0
        for char in text:
            if taken + get_cwidth(char) > cells - 1:
                break
            kept += char
            taken += get_cwidth(char)
        text, taken = kept + "…", taken + 1
    filling = " " * (cells - taken)
    return filling + text if right else text + filling
