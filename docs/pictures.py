"""Draws the pictures of README.md and of this folder: the program itself in a terminal, as SVG."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from cli import Cli  # noqa: E402 - the tests know how to run the program in a terminal
from terminal import Terminal  # noqa: E402

COLUMNS = 96
_OPEN = ("season:26SS", "sku:LN-10*", "status:needs-oc,oc-created")
_HEX = re.compile(r"[0-9a-f]{6}")
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}


def main() -> None:
    """Write every picture."""
    with tempfile.TemporaryDirectory() as folder:
        cli = _brand(Path(folder))
        _draw(cli, "search", "search", *_OPEN, "--limit", "8", rows=11)
        _draw(cli, "preview", "reject", "--filter", " ".join(_OPEN), "--reason", "dropped", "--dry-run", rows=60)
        _draw(cli, "stats", "stats", "--by", "status", "--by", "season", rows=70)
        _draw(cli, "show", "show", "10001", rows=40)
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


def _draw(cli: Cli, name: str, *args: str, rows: int, keys: tuple[str, ...] = (), wait: str = "") -> None:
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
    console.print(Text.assemble("$ orderctl ", " ".join(_quoted(arg) for arg in args), style="bold"), end="\n\n")
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
    path = HERE / "pictures" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    console.save_svg(str(path), title="orderctl", unique_id=name)
    print(path.relative_to(HERE.parent))


def _lines(screen) -> list[Text]:  # noqa: ANN001 - a pyte.Screen
    """What the screen shows, with its colours, without the empty lines at the end."""
    lines = []
    for number in range(screen.lines):
        line = Text()
        for cell in (screen.buffer[number][column] for column in range(screen.columns)):
            line.append(cell.data, style=_style(cell))
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
