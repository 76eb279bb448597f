"""The rows of the picker: columns that fit the width, wide characters aligned, orders not to be rejected dimmed."""

from collections.abc import Callable, Mapping, Sequence

from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.layout import UIContent, UIControl, Window
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from orderctl.core.text import safe
from orderctl.language import N_, _
from orderctl.orders.eligibility import Rule
from orderctl.orders.orders import Order
from orderctl.orders.view import STATUS_STYLES
from orderctl.selection.picking import PickList
from orderctl.terminal.amounts import shown_amount

_HEADERS = {
    "id": N_("Order"),
    "buyer": N_("Buyer"),
    "status": N_("Status"),
    "ordered": N_("Ordered"),
    "season": N_("Season"),
    "total": N_("Total"),
    "currency": "",
    "reason": N_("Cannot be rejected"),
}
_OPTIONAL = ("ordered", "season")
_RIGHT = {"total"}
_LONGEST = {"id": 24, "season": 12, "reason": 24}
_SHORTEST = {"reason": 12, "status": 8, "id": 10}
_BUYER = (12, 24, 40)  # the least width, the width before another column is added, the greatest width
_LEAD = 6  # the cursor and the tick box


class PickRows:
    """Draws the rows of one list in one width, in cells."""

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
        """One row of the list."""
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
        """The columns and their widths, computed again when the terminal's width changes."""
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
    """The cells that these columns leave for the buyer."""
    others = [cells for name, cells in columns.items() if name != "buyer"]
    return width - sum(others) - sum(len(_gap(name)) for name in columns) - len(_gap("buyer"))


def _gap(column: str) -> str:
    """The space after a column; an amount and its currency stay together."""
    return {"total": " ", "reason": ""}.get(column, "  ")


def _natural(picks: PickList) -> Mapping[str, int]:
    """The width of the widest cell of each column, within its limits."""
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
    return _(_HEADERS[column]) if _HEADERS[column] else ""


def _reason(rule: Rule | None) -> str:
    return _(rule.reason) if rule else ""


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
    """The text in exactly this many cells: cut with an ellipsis, or padded."""
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


_MARGIN = " " * 6
Keys = Sequence[tuple[str, str]]
LIST_KEYS = (
    ("↑↓", N_("move")),
    (N_("space"), N_("tick")),
    ("v", N_("range")),
    ("/", N_("narrow")),
    ("a", N_("all")),
    ("e", N_("eligible")),
    ("n", N_("none")),
    ("i", N_("invert")),
    ("t", N_("ticked only")),
    ("?", N_("detail")),
)
RANGE_KEYS = (("↑↓", N_("stretch the range")), (N_("space"), N_("tick it")), ("v", N_("drop it")))
NARROW_KEYS = (
    (N_("words, field:value"), N_("narrow")),
    ("↑↓", N_("move")),
    ("Enter", N_("to the list")),
    ("Esc", N_("clear")),
)
DETAIL_KEYS = (
    ("↑↓", N_("next order")),
    (N_("space"), N_("tick")),
    ("PgUp PgDn", N_("scroll")),
    ("?", N_("to the list")),
)
STYLE = Style.from_dict(
    {
        "title": "bold",
        "header": "bold underline",
        "cursor": "reverse",
        "marked": "bold",
        "refused": "dim",
        "tick": "bold ansigreen",
        "figures": "bold",
        "warning": "ansiyellow",
        "key": "reverse",
        "status.yellow": "ansiyellow",
        "status.cyan": "ansicyan",
        "status.green": "ansigreen",
        "status.magenta": "ansimagenta",
        "status.dim": "dim",
        "status.red": "ansired",
    }
)


class RowList(UIControl):
    """The list. Only the rows that are visible are drawn."""

    def __init__(self, picks: PickList, rows: PickRows) -> None:
        self._picks = picks
        self._rows = rows

    def is_focusable(self) -> bool:
        """The list takes the keys."""
        return True

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 - as prompt_toolkit calls it
        """The rows, each drawn when it is needed."""
        if not self._picks.shown:
            return UIContent(
                lambda __: [("class:warning", _MARGIN + _("no order matches"))], line_count=1, show_cursor=False
            )
        return UIContent(
            lambda row: self._rows.row(row, width),
            line_count=len(self._picks.shown),
            cursor_position=Point(0, self._picks.row),
            show_cursor=False,
        )


class _Drawn(UIControl):
    """Lines that are drawn for the width of the window."""

    def __init__(self, draw: Callable[[int], StyleAndTextTuples]) -> None:
        self._draw = draw

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 - as prompt_toolkit calls it
        lines = list(split_lines(self._draw(width)))
        return UIContent(lines.__getitem__, line_count=len(lines), show_cursor=False)


def drawn(draw: Callable[[int], StyleAndTextTuples], *, height: int | None = None, width: int | None = None) -> Window:
    """A part of the screen that `draw` fills for a given width in cells."""
    return Window(_Drawn(draw), height=height, width=width, wrap_lines=False, always_hide_cursor=True)


def draw_keys(keys: Keys, width: int) -> StyleAndTextTuples:
    """The keys and what they do, wrapped to the width."""
    fragments: StyleAndTextTuples = []
    taken = 0
    for key, does in ((_(key), _(does)) for key, does in keys):
        cells = get_cwidth(key) + get_cwidth(does) + 1
        if taken and taken + cells > width:
            fragments.append(("", "\n"))
            taken = 0
        fragments += [("class:key", key), ("", f" {does}  ")]
        taken += cells + 2
    return fragments
