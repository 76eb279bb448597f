"""Draws the pictures of README.md and of this folder: the program itself in a terminal, as SVG."""

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
    path = HERE / "pictures" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    drawn = console.export_svg(title="orderctl", unique_id=name)
    path.write_text(_TEXT.sub(lambda found: "".join(_in_cells(*found.groups())), drawn), encoding="utf-8")
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


def _quoted(arg: str) -> str:
    return f"'{arg}'" if set(arg) & set(" *") else arg


if __name__ == "__main__":
    main()
