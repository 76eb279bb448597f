"""Draws the pictures of README.md and of this folder as SVG: the program in a terminal, and the life of a rejection."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape, unescape
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.cli import Cli  # noqa: E402 - the tests know how to run the program in a terminal
from support.terminal import Terminal  # noqa: E402

COLUMNS = 110
# More than any of them has: what scrolls away is missing in the picture.
ROWS = 200
# The cell of a terminal in Rich's pictures.
CELL = 12.2
NBSP = "\u00a0"
_OPEN = ("season:26SS", "sku:LN-10*", "status:needs-oc,oc-created")
_HEX = re.compile(r"[0-9a-f]{6}")
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}
_TEXT = re.compile(r'(<text class="[^"]*") x="([^"]*)" (y="[^"]*") textLength="[^"]*" ([^>]*)>([^<]*)</text>')


def main() -> None:
    """Write every picture."""
    with tempfile.TemporaryDirectory() as folder:
        cli = _brand(Path(folder))
        _draw(cli, "search", "search", *_OPEN, "--limit", "8")
        _draw(cli, "preview", "reject", "--filter", " ".join(_OPEN), "--reason", "dropped", "--dry-run")
        _draw(cli, "stats", "stats", "currency:EUR", "--by", "status", "--by", "season")
        _draw(cli, "show", "show", "10001")
        _draw(cli, "picker", "select", "--pick", *_OPEN, rows=24, keys=(" ", "\x1b[B", "\x1b[B", " "), wait="2 ticked")
    _write("life", _life())


def _brand(folder: Path) -> Cli:
    """A brand with sample orders, as `orderctl demo` makes it."""
    subprocess.run(
        [sys.executable, "-m", "orderctl", "demo", "--folder", str(folder), "--set-up-only"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder), "LANGUAGE": "en"},
    )
    return Cli(str(folder / "orders.db"), folder / "home", ORDERCTL_CONFIG=str(folder / "config.toml"), PAGER="cat")


def _draw(cli: Cli, name: str, *args: str, rows: int = ROWS, keys: tuple[str, ...] = (), wait: str = "") -> None:
    with Terminal(cli, *args, columns=COLUMNS, rows=rows) as terminal:
        if wait:
            terminal.wait_for("0 ticked")
            for key in keys:
                terminal.type(key)
            terminal.wait_for(wait)
        else:
            terminal.end()
        lines = _lines(terminal.screen)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    console.print(Text.assemble("$ orderctl ", " ".join(_quoted(arg) for arg in args), style="bold"))
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
    drawn = console.export_svg(title="orderctl", unique_id=name)
    _write(name, _TEXT.sub(lambda found: "".join(_in_cells(*found.groups())), drawn))


def _write(name: str, drawn: str) -> None:
    path = HERE / "pictures" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(drawn, encoding="utf-8")
    print(path.relative_to(HERE.parent))


def _in_cells(tag: str, x: str, y: str, rest: str, text: str) -> Iterator[str]:
    """A text in its cells: Rich gives each character one, and so squeezes the wide ones into half of their room."""
    place = float(x)
    for width, run in groupby(unescape(text).rstrip("\n"), cell_len):
        chars = "".join(run)
        length = width * len(chars) * CELL
        shown = escape(chars).replace(NBSP, "&#160;")
        yield f'{tag} x="{place:.1f}" {y} textLength="{length:.1f}" {rest}>{shown}</text>'
        place += length


def _lines(screen) -> list[Text]:  # noqa: ANN001 - a pyte.Screen
    """What the screen shows, with its colours, without the empty lines at the end."""
    lines = []
    for number in range(screen.lines):
        line = Text()
        for style, cells in groupby((screen.buffer[number][column] for column in range(screen.columns)), _style):
            line.append("".join(cell.data for cell in cells), style=style)
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _style(cell) -> str:  # noqa: ANN001 - a pyte.screens.Char
    words = ["bold"] * cell.bold + ["reverse"] * cell.reverse + ["underline"] * cell.underscore
    for prefix, colour in (("", cell.fg), ("on ", cell.bg)):
        if colour != "default":
            words.append(f"{prefix}#{colour}" if _HEX.fullmatch(colour) else f"{prefix}{_COLOURS.get(colour, colour)}")
    return " ".join(words)


# The boxes of the life of a rejection: where, how wide and high, of which kind, and what stands in them.
_BOXES = (
    (20, 20, 230, 60, "step", "filter, ids, selection", ""),
    (315, 20, 230, 60, "step", "plan", "each order with its version"),
    (610, 20, 230, 60, "step", "preview, question", "2 orders are cancelled in shop"),
    (20, 130, 820, 120, "frame", "one transaction in the store", ""),
    (40, 170, 240, 60, "done", "order: rejected", "event and batch: the log"),
    (310, 170, 240, 60, "waits", "write-back: waiting", "one for each order"),
    (580, 170, 240, 60, "waits", "mail: held", "one for each buyer"),
    (310, 300, 240, 60, "step", "the system is told", "shop, ERP, database, program"),
    (20, 430, 190, 76, "done", "sent", "it is cancelled there"),
    (230, 430, 190, 76, "waits", "retry", "told again by itself, later"),
    (440, 430, 190, 76, "wrong", "refused", "a conflict: a person decides"),
    (650, 430, 190, 76, "wrong", "unknown", "asked, or a person looks"),
    (20, 560, 190, 60, "done", "mail: waiting, sent", "the buyer is told"),
    (440, 560, 400, 60, "waits", "mail: held", "nobody is told of what is not cancelled"),
)
_ARROWS = (
    ("M250 50 H312", "", 0, 0),
    ("M545 50 H607", "", 0, 0),
    ("M725 80 V127", "yes", 735, 108),
    ("M430 230 V297", "", 0, 0),
    ("M430 360 V395 H115 V427", "it cancels", 125, 415),
    ("M430 395 H325 V427", "not now", 335, 415),
    ("M430 395 H535 V427", "it will not", 545, 415),
    ("M430 395 H745 V427", "no answer", 755, 415),
    ("M230 468 H220 V330 H307", "", 0, 0),
    ("M115 506 V557", "", 0, 0),
    ("M535 506 V557", "", 0, 0),
    ("M745 506 V557", "", 0, 0),
)
_LOOKS = """
.back { fill: #ffffff } text { font: 15px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 12.5px; fill: #57606a } .bold { font-weight: 600 }
rect { rx: 8; stroke-width: 1.5 } .step { fill: #f6f8fa; stroke: #8c959f } .frame { fill: none; stroke: #8c959f }
.done { fill: #dafbe1; stroke: #2da44e } .waits { fill: #fff8c5; stroke: #bf8700 }
.wrong { fill: #ffebe9; stroke: #cf222e } #end path { fill: #57606a; stroke: none; marker-end: none }
path { fill: none; stroke: #57606a; stroke-width: 1.5; marker-end: url(#end) }
"""


def _life() -> str:
    """The life of a rejection, from the filter to the system and the buyer."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 640" role="img">',
        f"<title>The life of a rejection</title><style>{_LOOKS}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path d="M0 0 L8 4 L0 8 Z"/></marker></defs><rect class="back" width="860" height="640"/>',
    ]
    for x, y, width, height, kind, title, words in _BOXES:
        middle, top = x + width / 2, y + (22 if kind == "frame" else height / 2 + (-4 if words else 5))
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>')
        parts.append(f'<text class="bold" x="{middle:g}" y="{top:g}" text-anchor="middle">{escape(title)}</text>')
        if words:
            parts.append(
                f'<text class="small" x="{middle:g}" y="{top + 20:g}" text-anchor="middle">{escape(words)}</text>'
            )
    for line, words, x, y in _ARROWS:
        parts.append(f'<path d="{line}"/>')
        if words:
            parts.append(f'<text class="small" x="{x}" y="{y}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _quoted(arg: str) -> str:
    return f"'{arg}'" if set(arg) & set(" *") else arg


if __name__ == "__main__":
    main()
