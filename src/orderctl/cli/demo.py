"""`orderctl demo`: the main job on sample orders, with the real commands, each printed before it runs."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from orderctl.cli.apps import single
from orderctl.cli.context import Context
from orderctl.errors import ExitCode, OrderctlError
from orderctl.language import N_, _

ORDERS = 2_400
_DROPPED = "season:26SS sku:LN-10* status:needs-oc,oc-created"
_CONFIG = """\
default_profile = "demo"

[profile.demo]
store = "{folder}/orders.db"
label = "Nordlys demo"
mail.transport = "maildir"
mail.maildir = "{folder}/mails"
mail.sender = "Nordlys orders <orders@nordlys.example>"
mail.reply_to = "service@nordlys.example"
"""
_REASON = N_("style LN-10 dropped")
_MESSAGE = N_(
    "We had to drop the linen shirt: the mill could not deliver. Our apologies; the other styles are on their way."
)


@single("orderctl demo", "orderctl demo --folder ./try-orderctl")
def demo(
    context: Context,
    folder: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where to set it up; a temporary folder otherwise.")
    ] = None,
    set_up_only: Annotated[
        bool, typer.Option("--set-up-only", help="Make the store, and leave the rest to you.")
    ] = False,
) -> None:
    """A guided run on sample orders, in a folder of its own."""
    if set_up_only:
        tour = _Tour(context, _folder(folder))
        tour.run("store", "init")
        tour.run("import", str(tour.sample))
        tour.farewell()
        return
    brand = _(
        "A wholesale brand, {number:,} orders. The style LN-10 is dropped: its open orders have to be rejected.",
        number=ORDERS,
    )
    how_long = _(
        "Ten to forty seconds, depending on the computer; everything is in a folder of its own, and no mail leaves it."
    )
    context.output.lines([brand, how_long])
    _guide(_Tour(context, _folder(folder)))


def _guide(tour: "_Tour") -> None:
    """The main job, step by step."""
    tour.tell(_("1. A store, and the orders out of a file"))
    tour.run("store", "init")
    tour.run("import", str(tour.sample))
    tour.tell(_("2. Look: which orders are these?"))
    tour.run("search", *shlex.split(_DROPPED), "--format", "table", "--limit", "5")
    tour.run("filter", "save", "dropped", *shlex.split(_DROPPED))
    tour.tell(_("3. Select them, and a few more that cannot be rejected"))
    tour.run("select", *shlex.split(_DROPPED))
    tour.run("select", "season:26SS", "sku:LN-10*", "status:oc-confirmed", "buyer:paris")
    tour.tell(_("4. Preview: nothing is changed yet"))
    options = ("--reason", _(_REASON), "--notify", "--message", _(_MESSAGE))
    tour.run("reject", *options, "--dry-run")
    tour.tell(_("5. Reject them, once, and tell the buyers (mails go to a folder, not to people)"))
    tour.run("--quiet", "reject", *options, "--yes", "--max-orders", "500")
    tour.tell(_("6. The same again finds nothing to do"))
    tour.run("--quiet", "reject", *options, "--yes", ends_with=ExitCode.UNEXPECTED_PLAN)
    tour.tell(_("7. The proof: what was done, what one order went through, what a buyer read"))
    tour.run("log")
    tour.run("show", tour.first("status:rejected", "season:26SS", "sku:LN-10*", "--sort", "id"))
    tour.run("mail", "list", "--limit", "3")
    tour.farewell()


class _Tour:
    """Runs commands on the demo's own store and settings, and shows each as a user would type it."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._config = folder / "config.toml"
        self._config.touch(mode=0o600)
        self._config.write_text(_CONFIG.format(folder=folder), encoding="utf-8")
        self.sample = folder / "orders.jsonl"
        _write_sample(self.sample)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERCTL_")}
        self._environ = {**kept, "ORDERCTL_CONFIG": str(self._config)}

    def tell(self, text: str) -> None:
        self._context.output.lines(["", text])

    def run(self, *args: str, ends_with: ExitCode = ExitCode.DONE) -> None:
        """Print a command and run it. Raises OrderctlError if it ends with another code."""
        self._context.output.lines(["", f"$ {shlex.join(['orderctl', *args])}"])
        done = subprocess.run([sys.executable, "-m", "orderctl", *args], env=self._environ, check=False)  # noqa: S603
        if done.returncode != ends_with:
            raise OrderctlError(
                _("the demo stopped: orderctl {command} ended with {code}", command=args[0], code=done.returncode),
                hint=_("what it said stands above"),
            )

    def first(self, *args: str) -> str:
        """The first id that a search finds."""
        command = [sys.executable, "-m", "orderctl", "search", *args, "--limit", "1"]
        return subprocess.check_output(command, env=self._environ, text=True).strip()  # noqa: S603

    def farewell(self) -> None:
        """How to go on by hand."""
        program = Path(sys.argv[0]).absolute() if sys.argv[0].endswith("orderctl") else Path("orderctl")
        self._context.output.lines(
            [
                "",
                _("Go on by hand; this store is yours:"),
                "",
                f"  export ORDERCTL_CONFIG={shlex.quote(str(self._config))}",
                f"  alias orderctl={shlex.quote(str(program))}",
                "  orderctl search status:needs-oc country:JP",
                "  orderctl reject --filter 'status:needs-oc country:JP'",
                f"  ls {shlex.quote(str(self._folder / 'mails' / 'new'))}",
            ]
        )


def _write_sample(path: Path) -> None:
    """The orders of the demo as JSON lines, as an import reads them."""
    from orderctl.exporting.service import ExportFormat, ExportRequest, write_export
    from orderctl.orders.samples import sample_orders

    write_export(sample_orders(ORDERS), ExportRequest(format=ExportFormat.JSONL, path=str(path)))


def _folder(given: str | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="orderctl-demo-"))
    folder = Path(given).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
