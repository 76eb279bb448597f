"""The picker: a full-screen list in which the operator ticks orders (docs/reference/picker.md)."""

from collections.abc import Callable, Sequence

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition, Filter, FilterOrBool, has_focus
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    ScrollOffsets,
    VSplit,
    Window,
)
from prompt_toolkit.output import Output

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.language import _
from orderctl.orders.orders import Order
from orderctl.selection.picker_rows import (
    DETAIL_KEYS,
    LIST_KEYS,
    NARROW_KEYS,
    RANGE_KEYS,
    STYLE,
    PickRows,
    RowList,
    draw_keys,
    drawn,
)
from orderctl.selection.picking import PickList, Picks
from orderctl.terminal.amounts import shown_money

_GAP = " " * 3


class Picker:
    """One run of the picker. `parse` reads a filter, `detail` draws an order in a width, `purpose` is the title."""

    def __init__(
        self,
        picks: PickList,
        *,
        purpose: str,
        done: str,
        parse: Callable[[str], OrderFilter],
        detail: Callable[[Order, int], str],
    ) -> None:
        self._picks = picks
        self._purpose = purpose
        self._done = done
        self._parse = parse
        self._detail = detail
        self._problem = ""
        self._detailed = False
        self._scrolled = 0
        self._rows = PickRows(picks)
        self._narrowing = Buffer(multiline=False)
        self._narrowed_by = ""
        self._list = Window(RowList(picks, self._rows), scroll_offsets=ScrollOffsets(top=2, bottom=2), wrap_lines=False)
        self._app: Application[Picks | None] | None = None

    def app(self, reading: Input, writing: Output) -> Application[Picks | None]:
        """The application. It returns None if the operator left it, and raises KeyboardInterrupt for Ctrl-C."""
        app: Application[Picks | None] = Application(
            layout=Layout(self._body(), focused_element=self._list),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            before_render=lambda __: self._narrow(),
            input=reading,
            output=writing,
        )
        # Esc alone is a key here: do not wait as long as usual for the rest of a sequence.
        app.ttimeoutlen = app.timeoutlen = 0.05
        self._app = app
        return app

    def _body(self) -> HSplit:
        detailed = Condition(lambda: self._detailed)
        line = VSplit([drawn(lambda __: [("", "/ ")], width=2), Window(BufferControl(self._narrowing))], height=1)
        columns = drawn(self._rows.header, height=1)
        detail = Window(
            FormattedTextControl(self._detail_text), wrap_lines=True, get_vertical_scroll=lambda __: self._scrolled
        )
        return HSplit(
            [
                drawn(self._title, height=1),
                ConditionalContainer(HSplit([line, columns, self._list]), filter=~detailed),
                ConditionalContainer(detail, filter=detailed),
                drawn(self._figures, height=1),
                drawn(self._keys_shown, height=2),
            ]
        )

    def _title(self, _width: int) -> StyleAndTextTuples:
        shown, every = len(self._picks.shown), len(self._picks.orders)
        if shown != every:
            of = _("{shown:,} of {every:,} shown", shown=shown, every=every)
        else:
            of = _("{every:,} orders", every=every)
        if self._picks.only_ticked:
            of = _("{shown}, only the ticked", shown=of)
        return [("class:title", safe(self._purpose)), ("", f"   {of}   "), ("class:warning", self._problem)]

    def _figures(self, _width: int) -> StyleAndTextTuples:
        figures = self._picks.figures
        told: StyleAndTextTuples = [("class:figures", _("{number:,} ticked", number=figures.count))]
        told += [("", f"   {shown_money(money)}") for money in figures.totals]
        if figures.refused:
            told.append(("class:warning", _GAP + _("{number:,} cannot be rejected", number=figures.refused)))
        if figures.hidden:
            told.append(("", _GAP + _("{number:,} not shown", number=figures.hidden)))
        return told

    def _keys_shown(self, width: int) -> StyleAndTextTuples:
        if self._app is not None and self._app.layout.has_focus(self._narrowing):
            return draw_keys(NARROW_KEYS, width)
        ends = (("Enter", self._done), ("Esc", _("back") if self._inside else _("leave, change nothing")))
        if self._detailed:
            return draw_keys((*DETAIL_KEYS, *ends), width)
        return draw_keys((*(RANGE_KEYS if self._picks.mark is not None else LIST_KEYS), *ends), width)

    @property
    def _inside(self) -> bool:
        """Whether Esc goes back to the list instead of leaving it."""
        return self._detailed or self._picks.mark is not None

    def _detail_text(self) -> StyleAndTextTuples:
        order = self._picks.current
        if order is None or self._app is None:
            return []
        return to_formatted_text(ANSI(self._detail(order, self._app.output.get_size().columns)))

    def _narrow(self) -> None:
        """Show the orders that the typed filter finds; while it is wrong, keep the list and show the reason.

        Called before a screen is drawn, and not for each key, so that fast typing is not slowed down.
        """
        if self._narrowing.text == self._narrowed_by:
            return
        self._narrowed_by = self._narrowing.text
        try:
            wanted = self._parse(self._narrowed_by)
        except UsageError as error:
            what = str(error).splitlines()[0].partition(": ")[2]
            self._problem = safe(f"{what}; {error.hint}" if error.hint else what)
            return
        self._problem = ""
        self._picks.narrow(wanted)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_list = ~has_focus(self._narrowing)
        self._bind_moves(keys, in_list)
        self._bind_ticks(keys, in_list)
        self._bind_ways_out(keys, in_list)
        return keys

    def _bind_moves(self, keys: KeyBindings, in_list: FilterOrBool) -> None:
        def move(names: Sequence[str], rows: Callable[[], int], where: FilterOrBool = True) -> None:
            def go(_event: KeyPressEvent) -> None:
                self._narrow()
                self._scrolled = 0
                self._picks.move_to(self._picks.row + rows())

            for name in names:
                keys.add(name, filter=where)(go)

        far = len(self._picks.orders)
        detailed = Condition(lambda: self._detailed)
        move(["up", "c-p"], lambda: -1)
        move(["down", "c-n"], lambda: 1)
        move(["k"], lambda: -1, in_list)
        move(["j"], lambda: 1, in_list)
        move(["pageup", "c-b"], lambda: -self._page, ~detailed)
        move(["pagedown", "c-f"], lambda: self._page, ~detailed)
        move(["home", "g"], lambda: -far, in_list)
        move(["end", "G"], lambda: far, in_list)
        keys.add("pageup", filter=detailed)(lambda __: self._scroll(-self._page))
        keys.add("pagedown", filter=detailed)(lambda __: self._scroll(self._page))
        keys.add("s-up", filter=in_list)(lambda __: self._stretch(-1))
        keys.add("s-down", filter=in_list)(lambda __: self._stretch(1))

    def _bind_ticks(self, keys: KeyBindings, in_list: Filter) -> None:
        picks = self._picks

        def on(name: str, act: Callable[[], object]) -> None:
            keys.add(name, filter=in_list)(lambda __: act() and None)

        on(" ", self._tick)
        on("v", self._set_mark)
        on("a", picks.tick_shown)
        on("e", lambda: picks.tick_shown(but_refused=True))
        on("n", picks.clear_shown)
        on("i", picks.invert_shown)
        on("t", lambda: picks.show_only_ticked(only=not picks.only_ticked))
        on("?", self._toggle_detail)
        on("d", self._toggle_detail)

    def _bind_ways_out(self, keys: KeyBindings, in_list: Filter) -> None:
        @keys.add("/", filter=in_list)
        def _narrow(event: KeyPressEvent) -> None:
            self._detailed = False
            event.app.layout.focus(self._narrowing)

        @keys.add("enter", filter=~in_list)
        @keys.add("tab", filter=~in_list)
        def _to_list(event: KeyPressEvent) -> None:
            self._narrow()
            event.app.layout.focus(self._list)

        @keys.add("escape", filter=~in_list, eager=True)
        def _clear(event: KeyPressEvent) -> None:
            self._narrowing.reset()
            self._narrow()
            event.app.layout.focus(self._list)

        @keys.add("enter", filter=in_list)
        @keys.add("s", filter=in_list)
        def _save(event: KeyPressEvent) -> None:
            event.app.exit(result=self._picks.picks())

        @keys.add("escape", filter=in_list)
        @keys.add("q", filter=in_list)
        def _leave(event: KeyPressEvent) -> None:
            if self._inside:
                self._detailed, self._picks.mark = False, None
            else:
                event.app.exit(result=None)

        @keys.add("c-c")
        def _interrupt(event: KeyPressEvent) -> None:
            event.app.exit(exception=KeyboardInterrupt)

    @property
    def _page(self) -> int:
        drawn = self._list.render_info
        return max(1, drawn.window_height - 1) if drawn else 10

    def _tick(self) -> None:
        """Tick, then move to the next row, unless a range was ticked."""
        ranged = self._picks.mark is not None
        self._picks.toggle()
        if not ranged and not self._detailed:
            self._picks.move_to(self._picks.row + 1)

    def _set_mark(self) -> None:
        self._picks.mark = None if self._picks.mark is not None or self._detailed else self._picks.row

    def _stretch(self, rows: int) -> None:
        if self._picks.mark is None:
            self._picks.mark = self._picks.row
        self._picks.move_to(self._picks.row + rows)

    def _toggle_detail(self) -> None:
        self._detailed, self._scrolled = not self._detailed and bool(self._picks.shown), 0
        self._picks.mark = None

    def _scroll(self, rows: int) -> None:
        self._scrolled = max(0, self._scrolled + rows)
