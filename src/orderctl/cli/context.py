"""Puts the program together: this package alone imports adapters, each when a command first needs it."""

import getpass
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orderctl import __version__
from orderctl.errors import UsageError, os_reason
from orderctl.language import N_, _, english
from orderctl.mail.transports import secret
from orderctl.settings import Settings, Value, holds_password, profile_names, read_settings, unknown_variables

if TYPE_CHECKING:
    from orderctl.audit.log import LoggedBatch
    from orderctl.audit.report import BatchReport
    from orderctl.core.times import Progress
    from orderctl.database.address import Address
    from orderctl.database.clock import SystemClock
    from orderctl.database.connection import Connection, Statements
    from orderctl.database.store import Store
    from orderctl.exporting.service import ExportRequest
    from orderctl.filters.filters import OrderFilter
    from orderctl.filters.suggestions import Suggestion
    from orderctl.importing.figures import RowProblem, SourceRequest
    from orderctl.importing.source import FileSource
    from orderctl.mail.transports import Mailing
    from orderctl.orders.orders import Order
    from orderctl.plans.plans import PlanTerms
    from orderctl.rejection.plan import Provenance
    from orderctl.rejection.service import HeldBatch
    from orderctl.search.columns import Column
    from orderctl.selection.notes import ReasonCodes
    from orderctl.selection.selection import IdList
    from orderctl.stats.statistics import Statistics
    from orderctl.terminal.console import Screen
    from orderctl.terminal.output import Output
    from orderctl.terminal.run_log import RunLog

_LONGEST_CODE = 2
_SUGGESTED = 60


class Program:
    """The parts of the program for one run, made when they are first asked for."""

    def __init__(self, **options: Value) -> None:
        self._flags: dict[str, Value] = {}
        self.quiet = self.verbose = False
        self._paged = True
        self._statements: Statements | None = None
        self.changed = False
        self.begun: list[str] = []  # the ids of the batches whose execution began, and did not end by changing nothing
        self.take(options)

    def take(self, options: Mapping[str, Value]) -> None:
        """Take the options that stand before or behind a command: of two, the later one. Raises UsageError."""
        self._flags |= {name: options[name] for name in ("store", "profile", "log_file") if name in options}
        self.quiet = self.quiet or bool(options.get("quiet"))
        self.verbose = self.verbose or bool(options.get("verbose"))
        self._paged = self._paged and not options.get("no_pager")
        if self.quiet and self.verbose:
            raise UsageError(_("--quiet and --verbose are opposites"), hint=_("leave one of them out"))

    @cached_property
    def clock(self) -> "SystemClock":
        """The clock that decides."""
        from orderctl.database.clock import SystemClock

        return SystemClock(lambda: self.settings.text("wrong_time_of"))

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once. Raises UsageError."""
        _refuse_password(self._flags["store"])
        return read_settings(config_file(), os.environ, self._flags)

    @cached_property
    def actor(self) -> str:
        """Who acts: the setting, or the login name."""
        try:
            return self.settings.text("actor") or getpass.getuser()
        except (KeyError, OSError):
            raise UsageError(_("nobody is logged in under a name"), hint=_("set ORDERCTL_ACTOR")) from None

    @cached_property
    def address(self) -> "Address":
        """Where the store is: as set, or a file in the user's data folder."""
        from orderctl.database.address import parse_address

        settings = self.settings
        address = parse_address(settings.text("store") or str(default_store()))
        if address.conninfo is None:
            return address
        user = address.shown.removeprefix("postgresql://")
        password = secret(settings, file="store_password_file", keyring="store_keyring", user=user)
        return address.with_password(password) if password else address

    def open_store(self) -> "Store":
        """The store of the profile's account, as a context manager."""
        from orderctl.database.store import Store, make_engine

        return Store(
            make_engine(self.address),
            self.settings.text("account"),
            self.settings.text("label"),
            watch=self._watch if self._is_watched() else None,
            committed=self.note_change,
        )

    def note_change(self) -> None:
        """Something now is as it was not: the exit code has to say so, whatever happens next."""
        self.changed = True

    def held(self, batch_ids: "Sequence[str]") -> "tuple[HeldBatch, ...]":
        """Those of the batches that hold, asked on a new connection. Raises StoreUnavailableError."""
        from orderctl.rejection.service import held_batches

        with self.open_store() as store:
            return held_batches(store, batch_ids)

    def _is_watched(self) -> bool:
        """Whether anybody wants to know what is done."""
        return self.verbose or bool(self.settings.text("log_file"))

    def _watch(self, connection: "Connection") -> "Connection":
        from orderctl.database.connection import CountingConnection, Statements

        self._statements = self._statements or Statements()
        return CountingConnection(connection, self._statements)

    @cached_property
    def run_log(self) -> "RunLog":
        """What the run does, step by step."""
        from orderctl.terminal.run_log import RunLog

        return RunLog(self.settings.path("log_file"), verbose=self.verbose, run_id=self.new_id())

    def end(self, command: str, exit_code: int) -> None:
        """Note how the run ended, where anybody wants to know."""
        with suppress(UsageError):  # settings that cannot be used: the command has said so
            if self._is_watched():
                spent = self._statements
                figures = {"statements": spent.count, "store_seconds": round(spent.seconds, 3)} if spent else {}
                self.run_log.end(command, exit_code, dict(figures))

    @cached_property
    def output(self) -> "Output":
        """Standard output for what other programs read."""
        from orderctl.terminal.output import Output

        return Output()

    def suggestions(self, kind: "Suggestion", prefix: str) -> "tuple[str, ...]":
        """Values of the store that begin with the prefix, for completion: a few, read straight from the engine."""
        from orderctl.database.store import make_engine
        from orderctl.filters.suggestion_queries import suggest

        engine = make_engine(self.address)
        try:
            with engine.reading(self.settings.text("account")) as connection:
                return suggest(connection, kind, prefix, actor=self.actor, limit=_SUGGESTED)
        finally:
            engine.close()

    @property
    def sorts(self) -> "tuple[str, ...]":
        """What a list of orders can be sorted by."""
        from orderctl.filters.queries import SORTS

        return tuple(SORTS)

    @staticmethod
    def profiles() -> "tuple[str, ...]":
        """The profiles that the settings file holds."""
        return profile_names(config_file())

    @cached_property
    def mailing(self) -> "Mailing":
        """The profile's mail."""
        from orderctl.mail.transports import Mailing

        return Mailing(self.settings)

    @contextmanager
    def planning(self, *, mails: bool) -> Iterator[None]:
        """Show that a plan is in the making; what its preview takes, and its mails, is loaded meanwhile."""
        # GONE

        def load() -> None:
            from orderctl.rejection import preview  # noqa: F401
            from orderctl.terminal import console  # noqa: F401

            if mails:
                self.mailing.load()

        label = N_("Planning")
        shown = self.screen.progress if sys.stderr.isatty() else self.run_log.timing
        with shown(label), loading_meanwhile(load):
            yield

    @cached_property
    def screen(self) -> "Screen":
        """What is shown: results on standard output, talk on standard error."""
        from orderctl.terminal.amounts import use_zone
        from orderctl.terminal.console import Screen

        use_zone(self._zone())
        return Screen(run_log=self.run_log, quiet=self.quiet, paged=self._paged)

    def _zone(self) -> tzinfo | None:
        """The zone of the times shown; None is that of the computer. Raises UsageError."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        name = self.settings.text("time_zone")
        try:
            return ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                _("time_zone: {name!r} is not a known time zone", name=name), hint=_("write it as in Europe/Paris")
            ) from None

    def draw_page(self, page: str, *, above: str) -> None:
        """Draw a page of Markdown on the terminal, in the pager if it is long; without asking any setting."""
        from orderctl.terminal.manual_page import draw_page

        draw_page(page, above=above, paged=self._paged)

    def parse_filter(self, text: str) -> "OrderFilter":
        """Read a filter with today's date and the names of countries. Raises FilterError."""
        from orderctl.filters.parser import parse_filter

        return parse_filter(text, today=self.today(), country_code=_country_code)

    def today(self) -> date:
        """The day it is in UTC, from which relative days are counted."""
        return self.clock.now().date()

    @cached_property
    def reason_codes(self) -> "ReasonCodes":
        """The reasons that the settings list. Raises UsageError."""
        from orderctl.selection.notes import ReasonCodes

        try:
            return ReasonCodes.collect(self.settings.texts("reasons"))
        except ValueError as error:
            raise UsageError(f"reasons: {error}", hint=_("see orderctl help reasons")) from None

    def read_ids(self, source: str, *, notes: bool = False, allow_empty: bool = False) -> "IdList":
        """Order ids from a file, or from standard input for `-`. Raises UsageError naming file and line.

        With `notes`, the reasons and messages that a CSV has beside them too; `allow_empty`: there may be none.
        """
        from orderctl.filters.parser import is_term
        from orderctl.selection.id_file import read_ids

        codes = self.reason_codes if notes else None
        if source == "-":
            return read_ids(sys.stdin.buffer, _("standard input"), codes, allow_empty=allow_empty)
        try:
            with Path(source).open("rb") as stream:
                return read_ids(stream, source, codes, allow_empty=allow_empty)
        except OSError as error:
            raise UsageError(
                _("{source} cannot be read: {why}", source=source, why=os_reason(error)),
                hint=_("a filter goes behind --filter, and select takes it as it is")
                if is_term(source)
                else _("check the path"),
            ) from error

    def plan_terms(self) -> "PlanTerms":
        """How long saved plans last, and which need a second operator. Raises UsageError."""
        from orderctl.plans.plans import read_terms

        return read_terms(
            lifetime=self.settings.text("plan_expires"),
            always=self.settings.flag("require_second_operator"),
            above_orders=self.settings.number("second_operator_above_orders"),
            above_amount=self.settings.text("second_operator_above_amount"),
        )

    def provenance(self, source: str, *, selection: str = "") -> "Provenance":
        """Who acts from where, for the log; `selection` if that is where the orders come from."""
        from orderctl.rejection.plan import Provenance

        return Provenance(
            account=self.settings.text("account"),
            actor=self.actor,
            host=socket.gethostname(),
            program=f"orderctl {__version__}",
            source=english(source),
            selection=selection,
        )

    @staticmethod
    def new_id() -> str:
        """A new id of ours, ordered by time."""
        from orderctl.core.ids import new_id

        return new_id()

    @property
    def config_file(self) -> Path:
        """Where the settings are looked for."""
        return config_file()

    @staticmethod
    def strange_variables() -> dict[str, str]:
        """Environment variables that set nothing, each with the one that was perhaps meant."""
        return unknown_variables(os.environ)


def _country_code(name: str) -> str | None:
    if len(name) <= _LONGEST_CODE:
        return None
    from orderctl.core.countries import country_code

    code = country_code(name)
    return None if code == name else code


def _refuse_password(store: Value) -> None:
    """A password on the command line stands in the process list for everyone to read."""
    if holds_password(str(store or "")):
        raise UsageError(
            _("the store URL on the command line holds a password, which every user of this computer can see"),
            hint=_("put it into ORDERCTL_STORE, a profile, or ~/.pgpass"),
        )


@contextmanager
def loading_meanwhile(load: Callable[[], None]) -> Iterator[None]:
    """Run `load` beside the block; what it raises is raised at the end of the block, if that got so far."""
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load)
        yield
        loading.result()


def config_file() -> Path:
    """The file of the settings."""
    import platformdirs

    named = os.environ.get("ORDERCTL_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("orderctl") / "config.toml"


def page_text(name: str) -> str:
    """A page of the documentation: it lies beside the modules of an installed program, and in `docs` of a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "pages"
    folder = shipped if shipped.is_dir() else package.parent.parent / "docs"
    return (folder / name).read_text("utf-8")


def default_store() -> Path:
    """The SQLite file in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("orderctl") / "orderctl.db"


def write_orders(blocks: "Iterable[Mapping[str, Sequence[Any]]]", columns: "Sequence[Column]", format_: str) -> None:
    """Write orders to standard output as `csv`, `json` or `jsonl`.

    Blocks hold `fields_of` the columns, see `Orders`.
    """
    from orderctl.search.writers import WRITERS

    WRITERS[format_](blocks, columns, sys.stdout)


def id_lines(ids: Iterable[str]) -> Iterator[str]:
    """Order ids as the lines of a list that `--ids` reads back."""
    from orderctl.selection.id_file import id_line

    return map(id_line, ids)


def write_figures(statistics: "Statistics") -> None:
    """Write the breakdowns of figures to standard output as CSV."""
    from orderctl.stats.statistics import write_figures

    write_figures(statistics, sys.stdout)


def open_source(file: str, request: "SourceRequest", read_at: datetime, progress: "Progress") -> "FileSource":
    """A file of orders, read and checked, as a context manager. Raises UsageError if it cannot be read at all."""
    from orderctl.importing.source import open_source

    return open_source(
        Path(file),
        Path(request.map_file) if request.map_file else None,
        map_name=request.map_name,
        zone=request.time_zone,
        defaults=request.defaults,
        read_at=read_at,
        progress=progress,
    )


def draft_map(file: str, today: "date") -> list[str]:
    """The lines of a column map to begin with, drafted from a file of orders. Raises UsageError."""
    from orderctl.importing.map_draft import draft_map

    return draft_map(Path(file), today)


def shipped_maps() -> list[tuple[str, str]]:
    """The names of the column maps that ship with the program, and what each is for."""
    from orderctl.importing.column_map import map_names, shipped_map

    return [(name, shipped_map(name).about) for name in map_names()]


def write_error_report(path: str, problems: "Iterable[RowProblem]", *, force: bool) -> None:
    """Write the problems of an import as CSV. Raises UsageError if the file is there, unless forced."""
    from orderctl.importing.service import write_error_report

    write_error_report(Path(path), problems, force=force)


def write_sample(path: Path, number: int) -> None:
    """Write that many sample orders as JSON lines, as an import reads them. Raises UsageError."""
    from orderctl.exporting.service import ExportFormat, ExportRequest, write_export
    from orderctl.orders.samples import sample_orders

    write_export(sample_orders(number), ExportRequest(format=ExportFormat.JSONL, path=str(path)))


def write_export(orders: "Iterable[Order]", request: "ExportRequest") -> None:
    """Write orders as the request says. Raises UsageError if the target is taken."""
    from orderctl.exporting.service import write_export

    write_export(orders, request)


def write_report(report: "BatchReport", path: Path, *, force: bool) -> None:
    """Write a report of one batch as PDF or HTML, by the ending. Raises UsageError if the name is taken."""
    from orderctl.audit.report_file import write_report

    write_report(report, path, force=force)


def write_record(batches: "Iterable[LoggedBatch]", path: str | None, format_: str, *, force: bool) -> Mapping[str, int]:
    """Write the log for an auditor as `jsonl` or `csv`; gives how many records of each kind.

    Raises UsageError if the name is taken.
    """
    from orderctl.audit.document import write_record

    return write_record(batches, path, format_, force=force)


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read, its folder made if need be. Raises UsageError."""
    from orderctl.files.safe import create_file, create_folder

    create_folder(path.parent)
    with create_file(path, force=force) as out:
        out.write(text.encode())
