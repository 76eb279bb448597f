"""What the picker's screen is made of: the list, lines drawn for their width, the keys, the colours."""

from collections.abc import Callable, Sequence

from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.layout import UIContent, UIControl, Window
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from orderctl.domain.picking import PickList
from orderctl.language import later, say
from orderctl.terminal.pick_rows import PickRows

_MARGIN = " " * 6
Keys = Sequence[tuple[str, str]]
LIST_KEYS = (
    ("↑↓", later("move")),
    (later("space"), later("tick")),
    ("v", later("range")),
    ("/", later("narrow")),
    ("a", later("all")),
    ("e", later("eligible")),
    ("n", later("none")),
    ("i", later("invert")),
    ("t", later("ticked only")),
    ("?", later("detail")),
)
RANGE_KEYS = (("↑↓", later("stretch the range")), (later("space"), later("tick it")), ("v", later("drop it")))
NARROW_KEYS = (
    (later("words, field:value"), later("narrow")),
    ("↑↓", later("move")),
    ("Enter", later("to the list")),
    ("Esc", later("clear")),
)
DETAIL_KEYS = (
    ("↑↓", later("next order")),
    (later("space"), later("tick")),
    ("PgUp PgDn", later("scroll")),
    ("?", later("to the list")),
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
    """The list; only the rows in the window are drawn."""

    def __init__(self, picks: PickList, rows: PickRows) -> None:
        self._picks = picks
        self._rows = rows

    def is_focusable(self) -> bool:
        """Keys go to the list."""
        return True

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 - as prompt_toolkit calls it
        """The rows, each drawn when it is asked for."""
        if not self._picks.shown:
            return UIContent(
                lambda _: [("class:warning", _MARGIN + say("no order matches"))], line_count=1, show_cursor=False
            )
        return UIContent(
            lambda row: self._rows.row(row, width),
            line_count=len(self._picks.shown),
            cursor_position=Point(0, self._picks.row),
            show_cursor=False,
        )


class _Drawn(UIControl):
    """Lines that are drawn for the width that there is."""

    def __init__(self, draw: Callable[[int], StyleAndTextTuples]) -> None:
        self._draw = draw

    def create_content(self, width: int, height: int) -> UIContent:  # noqa: ARG002 - as prompt_toolkit calls it
        """The lines for this width."""
        lines = list(split_lines(self._draw(width)))
        return UIContent(lines.__getitem__, line_count=len(lines), show_cursor=False)


def drawn(draw: Callable[[int], StyleAndTextTuples], *, height: int | None = None, width: int | None = None) -> Window:
    """A part of the screen that `draw` fills, given the width."""
    return Window(_Drawn(draw), height=height, width=width, wrap_lines=False, always_hide_cursor=True)


def draw_keys(keys: Keys, width: int) -> StyleAndTextTuples:
    """The keys and what they do, broken where the line is full."""
    fragments: StyleAndTextTuples = []
    taken = 0
    for key, does in ((say(key), say(does)) for key, does in keys):
        cells = get_cwidth(key) + get_cwidth(does) + 1
        if taken and taken + cells > width:
            fragments.append(("", "\n"))
            taken = 0
        fragments += [("class:key", key), ("", f" {does}  ")]
        taken += cells + 2
    return fragments
