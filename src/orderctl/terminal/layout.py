"""Tables and lists of facts for any width of a terminal: ids, times and amounts are never broken or cut."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from orderctl.core.ids import LENGTH
from orderctl.core.text import words
from orderctl.language import _
from orderctl.terminal.amounts import when
from orderctl.terminal.styles import HEADING, Sentence, plain

GAP = 2  # between columns
_INDENT = 2
_LEAST = 10
KEPT = 12
_LEAST_VALUE = 24
Cell = str | Text | RenderableType
Band = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """How one column uses the width.

    A text is wrapped at spaces; words of up to `keeps` cells are not broken. `cut`: it is one line, which may end with
    an ellipsis. `whole`: it is neither wrapped nor cut; if it has a `least`, a longer cell may have a line of its own.
    While the columns do not have their `ample` cells, the one with the highest `gives_way` is left out. `joined`: it
    stays on the line of the column before it. `fills`: it takes the width that is left.
    """

    title: str = ""
    right: bool = False
    whole: bool = False
    cut: bool = False
    least: int = 0
    keeps: int = KEPT
    at_least: int = 0
    ample: int = 0
    gives_way: int = 0
    joined: bool = False
    fills: bool = False

    def bounds(self, texts: Iterable[Text]) -> tuple[int, int]:
        """The least width that is of use, and the width that shows everything, in cells."""
        lines = [line for text in texts for line in (text.split("\n") if "\n" in text.plain else (text,))]
        natural = max((line.cell_len for line in lines), default=0)
        title = max(_words(plain(self.title)), default=0)
        if self.whole:
            least = min(natural, self.least) if self.least else natural
        else:
            least = min(natural, self.least or _LEAST)
            if least < min(natural, self.keeps):
                longest = max((word for line in lines for word in _words(line)), default=0)
                least = max(least, min(longest, self.keeps))
        least = max(least, title, self.least if self.fills else 0)
        return least, max(least, natural, plain(self.title).cell_len, self.at_least)


class RuledTable:
    """A table with a line below its titles on a terminal, and with none elsewhere.

    Where there is no room for the columns side by side, and none of them may be left out, they go on in the next lines.
    """

    def __init__(self, columns: Sequence[TableColumn], *, indent: int = 0) -> None:
        self._columns = columns
        self._indent = indent
        self._rows: list[tuple[tuple[RenderableType, ...], Text | None]] = []

    def add_row(self, *cells: Cell, below: Text | None = None) -> None:
        """Add a row. `below` is a text for the next line, which may be empty; all rows have one, or none has."""
        self._rows.append((tuple(plain(cell) if isinstance(cell, str) else cell for cell in cells), below))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts of each row: its cells, then the text below it."""
        return [
            tuple(str(cell) for cell in (cells if below is None else (*cells, below))) for cells, below in self._rows
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        bands = self._bands(options.max_width - self._indent)
        if any(column.title for column in self._columns):
            titles = tuple(plain(column.title, HEADING) for column in self._columns)
            yield from self._row(console, options, bands, titles)
            if console.is_terminal:
                wide = max(sum(width + GAP for __, width in band) for band in bands) - GAP
                yield Segment(" " * self._indent + ("-" if options.ascii_only else "─") * wide)
                yield Segment.line()
        for cells, below in self._rows:
            yield from self._row(console, options, bands, cells)
            if below:
                room = options.max_width - self._indent - _INDENT
                yield from _lines(_drawn(console, options, below, room), self._indent + _INDENT)

    def _row(
        self, console: Console, options: ConsoleOptions, bands: Sequence[Band], cells: tuple[RenderableType, ...]
    ) -> Iterator[Segment]:
        for number, band in enumerate(bands):
            indent = self._indent + (_INDENT if number else 0)
            side_by_side = []
            for index, width in band:
                cell: RenderableType = cells[index]
                if self._columns[index].whole and isinstance(cell, Text) and cell.cell_len > width:
                    yield from _lines(_drawn(console, options, cell, options.max_width - indent), indent)
                    cell = Text()
                side_by_side.append((width, self._cell(console, options, index, cell, width)))
            for line in _beside(side_by_side):
                yield Segment(" " * indent)
                yield from line
                yield Segment.line()

    def _cell(
        self, console: Console, options: ConsoleOptions, index: int, cell: RenderableType, width: int
    ) -> list[list[Segment]]:
        column = self._columns[index]
        shown = options.update(
            width=width,
            height=None,
            justify="right" if column.right else "left",
            no_wrap=column.cut,
            overflow="ellipsis" if column.cut else "fold",
        )
        return console.render_lines(cell, shown)

    def _bands(self, width: int) -> list[Band]:
        """The columns that are shown, line by line, with their widths."""
        bounds = [
            column.bounds(cell for cells, __ in self._rows if isinstance(cell := cells[index], Text))
            for index, column in enumerate(self._columns)
        ]
        shown = self._shown(bounds, width)
        bands: list[list[int]] = [[]]
        for group in self._groups(shown):
            room = width - (_INDENT if len(bands) > 1 else 0)
            if bands[-1] and _taken(bounds[index][0] for index in (*bands[-1], *group)) > room:
                bands.append([])
            bands[-1].extend(group)
        return [self._stretched(band, bounds, width - (_INDENT if number else 0)) for number, band in enumerate(bands)]

    def _shown(self, bounds: Sequence[tuple[int, int]], width: int) -> list[int]:
        shown = list(range(len(self._columns)))
        ample = [
            min(most, max(least, column.ample)) for column, (least, most) in zip(self._columns, bounds, strict=True)
        ]
        while _taken(ample[index] for index in shown) > width:
            able = [index for index in shown if self._columns[index].gives_way]
            if not able:
                break
            shown.remove(max(able, key=lambda index: self._columns[index].gives_way))
        return shown

    def _groups(self, shown: Sequence[int]) -> Iterator[list[int]]:
        """The columns that stay side by side."""
        group: list[int] = []
        for index in shown:
            if group and not self._columns[index].joined:
                yield group
                group = []
            group.append(index)
        yield group

    def _stretched(self, band: Sequence[int], bounds: Sequence[tuple[int, int]], width: int) -> Band:
        """The widths, with what is left shared among the columns that need more than the least."""
        widths = {index: bounds[index][0] for index in band}
        spare = max(0, width - _taken(widths.values()))
        wanting = sorted((bounds[index][1] - bounds[index][0], index) for index in band)
        for place, (lacking, index) in enumerate(wanting):
            more = min(lacking, spare // (len(wanting) - place))
            widths[index] += more
            spare -= more
        for index in band:
            widths[index] += spare if self._columns[index].fills else 0
        return list(widths.items())


class Facts:
    """Labels and values, one a line; below each other where there is no room side by side."""

    def __init__(self, *, right: bool = False) -> None:
        self._right = right
        self._facts: list[tuple[str, RenderableType]] = []

    def add(self, label: str, value: Cell) -> None:
        """Add one."""
        self._facts.append((label, plain(value) if isinstance(value, str) else value))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw them."""
        left = max((plain(label).cell_len for label, __ in self._facts), default=0)
        room, beneath = options.max_width - left - GAP, options.max_width - _INDENT
        for label, value in self._facts:
            name = plain(label, HEADING)
            if self._right:
                name.pad_left(left - name.cell_len)
            yield from name.render(console)
            if room >= _LEAST_VALUE and not any(room < word <= beneath for word in _words(value)):
                gap = left + GAP - name.cell_len
                yield from _lines(_drawn(console, options, value, room), left + GAP, first=gap)
            else:
                yield Segment.line()
                yield from _lines(_drawn(console, options, value, beneath), _INDENT)


def _words(value: RenderableType) -> list[int]:
    """How many cells each word takes."""
    return [plain(word.rstrip()).cell_len for word in words(value.plain)] if isinstance(value, Text) else []


def _taken(widths: Iterable[int]) -> int:
    """The cells of columns side by side."""
    cells = list(widths)
    return sum(cells) + GAP * (len(cells) - 1)


def _drawn(console: Console, options: ConsoleOptions, what: RenderableType, width: int) -> list[list[Segment]]:
    """The lines of `what` at this width. A longer word is not broken: the terminal does that at its edge."""
    within = options.update(width=max(1, width), height=None, justify="left", no_wrap=False)
    if not isinstance(what, Text):
        return console.render_lines(what, within, pad=False)
    return list(Segment.split_lines(console.render(Sentence.of(what), within)))


def _beside(cells: Sequence[tuple[int, list[list[Segment]]]]) -> Iterator[list[Segment]]:
    """The lines of a row of cells, without blank ones."""
    blank = [[Segment(" " * width)] for width, __ in cells]
    for lines in zip_longest(*(lines for __, lines in cells)):
        line: list[Segment] = []
        for place, found in enumerate(lines):
            line += [Segment(" " * GAP)] if place else []
            line += blank[place] if found is None else found
        if any(not segment.control and segment.text.strip() for segment in line):
            yield line


def _lines(lines: Iterable[Sequence[Segment]], indent: int, *, first: int | None = None) -> Iterator[Segment]:
    for number, line in enumerate(lines):
        yield Segment(" " * (first if first is not None and not number else indent))
        yield from line
        yield Segment.line()


# Titles of columns that are never broken: ids, which people copy, and numbers. Then columns with ids among words.
_OF_ORDERS = {"Order", "Skipped"}
_WHOLE = {"Batch", "Mail", "Plan", *_OF_ORDERS, "Orders", "Rejected", "Mails"}
_OF_IDS = {"Detail", "Filter", "Name", "Setting"}
_AMOUNTS = {"Total"}
_LONGEST_AMOUNT = 32


def text_table(header: Sequence[str], rows: Iterable[Sequence[str | Text]], *, indent: int = 0) -> RuledTable:
    """A table of texts under translated titles. A `str` is made safe for the terminal."""
    table = RuledTable([_shape(name) for name in header], indent=indent)
    for row in rows:
        table.add_row(*row)
    return table


def _shape(name: str) -> TableColumn:
    """The layout of the column with that title."""
    return TableColumn(
        title=_(name),
        whole=name in _WHOLE or name == when(),
        least=LENGTH if name in _OF_ORDERS else 0,
        keeps=_LONGEST_AMOUNT if name in _AMOUNTS else LENGTH if name in _OF_IDS else KEPT,
    )


def days_words(first: date | None, last: date | None) -> str:
    """A day, or from a day to another; empty if there is neither."""
    if first and last and first != last:
        return _("{first} to {last}", first=first, last=last)
    return str(first or last or "")


def was(what: str, before: str | None) -> str:
    """What happened, and the state before."""
    return _("{event} (was {state})", event=what, state=before) if before else what


def facts_table(pairs: Iterable[tuple[str, str | Text]]) -> Facts:
    """Names and values, one a line, but for those without a value."""
    facts = Facts()
    for name, value in pairs:
        if value:
            facts.add(name, value)
    return facts


def listed_words(names: Sequence[str], count: int) -> str:
    """Names between commas, and how many more there are."""
    listed = ", ".join(names)
    more = count - len(names)
    return _("{listed} and {more:,} more", listed=listed, more=more) if more > 0 else listed
