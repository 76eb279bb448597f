"""Puts the program together: the only module that imports adapters, each when a command first needs it."""

import getpass
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orderctl import __version__
from orderctl.domain.errors import UnsendableError, UsageError
from orderctl.settings import Settings, Value, holds_password, profile_names, read_settings, unknown_variables

if TYPE_CHECKING:
    from orderctl.domain.batch_report import BatchReport
    from orderctl.domain.exporting import ExportRequest
    from orderctl.domain.filters import OrderFilter
    from orderctl.domain.health import Check
    from orderctl.domain.import_figures import RowProblem, SourceRequest
    from orderctl.domain.log import SealedBatch
    from orderctl.domain.order_columns import Column
    from orderctl.domain.orders import Order, OrderSummary
    from orderctl.domain.plan_terms import PlanTerms
    from orderctl.domain.reasons import ReasonCodes
    from orderctl.domain.rejection import Provenance
    from orderctl.domain.selection import IdList
    from orderctl.domain.statistics import Statistics
    from orderctl.domain.suggestions import Suggestion
    from orderctl.files.source import FileSource
    from orderctl.mail.letters import JinjaComposer
    from orderctl.ports import Mailer, Progress, Store
    from orderctl.store.address import Address
    from orderctl.store.sql import Connection
    from orderctl.store.watching import Statements
    from orderctl.terminal.journal import Journal
    from orderctl.terminal.output import Output
    from orderctl.terminal.prompts import Prompts
    from orderctl.terminal.screen import Screen


_LONGEST_CODE = 2
_SUGGESTED = 60
_NO_DOMAIN = "orderctl.invalid"


class SystemClock:
    """The computer's clock."""

    @staticmethod
    def now() -> datetime:
        """The present in UTC."""
        return datetime.now(UTC)


class Program:
    """The parts of the program for one run, made when they are first asked for."""

    def __init__(
        self,
        *,
        store: str | None,
        profile: str | None,
        quiet: bool,
        verbose: bool = False,
        paged: bool = True,
        log_file: str | None = None,
    ) -> None:
        self._flags: dict[str, Value] = {"store": store, "profile": profile, "log_file": log_file}
        self.quiet = quiet
        self._verbose = verbose
        self._paged = paged
        self._statements: Statements | None = None
        self.clock = SystemClock()

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once. Raises UsageError."""
        _refuse_password(self._flags["store"])
        return read_settings(_config_file(), os.environ, self._flags)

    @cached_property
    def actor(self) -> str:
        """Who acts: the setting, or the login name."""
        try:
            return self.settings.text("actor") or getpass.getuser()
        except (KeyError, OSError):
            raise UsageError("nobody is logged in under a name", hint="set ORDERCTL_ACTOR") from None

    @cached_property
    def address(self) -> "Address":
        """Where the store is: as set, or a file in the user's data folder."""
        from orderctl.store.address import parse_address

        settings = self.settings
        address = parse_address(settings.text("store") or str(_default_store()))
        if address.conninfo is None:
            return address
        user = address.shown.removeprefix("postgresql://")
        password = _secret(settings, file="store_password_file", keyring="store_keyring", user=user)
        return address.with_password(password) if password else address

    def open_store(self) -> "Store":
        """The store of the profile's account, as a context manager."""
        from orderctl.store.database import SqlStore, make_engine

        return SqlStore(
            make_engine(self.address),
            self.settings.text("account"),
            self.settings.text("label"),
            watch=self._watch if self._is_watched() else None,
        )

    def _is_watched(self) -> bool:
        """Whether anybody wants to know what is done; a log file that cannot be written is found out now."""
        return (self._verbose or bool(self.settings.text("log_file"))) and self.journal is not None

    def _watch(self, connection: "Connection") -> "Connection":
        from orderctl.store.watching import Statements, WatchedConnection

        self._statements = self._statements or Statements()
        return WatchedConnection(connection, self._statements)

    @cached_property
    def journal(self) -> "Journal":
        """What the run does, step by step. Raises UsageError if the log file cannot be written."""
        from orderctl.terminal.journal import Journal

        named = self.settings.text("log_file")
        return Journal(Path(named).expanduser() if named else None, verbose=self._verbose, run_id=self.new_id())

    def end(self, command: str, exit_code: int) -> None:
        """Note how the run ended, where anybody wants to know."""
        with suppress(UsageError):  # settings or a log file that cannot be used: the command has said so
            if self._is_watched():
                spent = self._statements
                figures = {"statements": spent.count, "store_seconds": round(spent.seconds, 3)} if spent else {}
                self.journal.end(command, exit_code, dict(figures))

    @cached_property
    def output(self) -> "Output":
        """Standard output for what other programs read."""
        from orderctl.terminal.output import Output

        return Output()

    def suggestions(self, kind: "Suggestion", prefix: str) -> "tuple[str, ...]":
        """Values of the store that begin with the prefix, for completion: a few, read straight from the engine."""
        from orderctl.store.database import make_engine
        from orderctl.store.suggestions import suggest

        engine = make_engine(self.address)
        try:
            with engine.reading(self.settings.text("account")) as connection:
                return suggest(connection, kind, prefix, actor=self.actor, limit=_SUGGESTED)
        finally:
            engine.close()

    @property
    def sorts(self) -> "tuple[str, ...]":
        """What a list of orders can be sorted by."""
        from orderctl.store.sorting import SORTS

        return tuple(SORTS)

    @staticmethod
    def profiles() -> "tuple[str, ...]":
        """The profiles that the settings file holds."""
        return profile_names(_config_file())

    def write_orders(self, orders: "Iterable[OrderSummary]", columns: "Sequence[Column]", format_: str) -> None:
        """Write orders to standard output as `csv` or `jsonl`."""
        from orderctl.files.table_writers import WRITERS

        WRITERS[format_](orders, columns, self.output.stream)

    def write_figures(self, statistics: "Statistics") -> None:
        """Write the breakdowns of figures to standard output as CSV."""
        from orderctl.files.figure_rows import write_figures

        write_figures(statistics, self.output.stream)

    @cached_property
    def screen(self) -> "Screen":
        """What is shown: results on standard output, talk on standard error."""
        from orderctl.terminal.screen import Screen

        return Screen(journal=self.journal, quiet=self.quiet, paged=self._paged)

    @cached_property
    def prompts(self) -> "Prompts":
        """Questions, asked on the controlling terminal only."""
        from orderctl.terminal.prompts import Prompts

        return Prompts()

    def parse_filter(self, text: str) -> "OrderFilter":
        """Read a filter with today's date and the names of countries. Raises FilterError."""
        from orderctl.domain.filter_parser import parse_filter

        return parse_filter(text, today=self.today(), country_code=_country_code)

    def today(self) -> date:
        """The day it is in UTC, from which relative days are counted."""
        return self.clock.now().date()

    @cached_property
    def reason_codes(self) -> "ReasonCodes":
        """The reasons that the settings list. Raises UsageError."""
        from orderctl.domain.reasons import ReasonCodes

        try:
            return ReasonCodes.collect(self.settings.texts("reasons"))
        except ValueError as error:
            raise UsageError(f"reasons: {error}", hint="see docs/reference/reject.md") from None

    def read_ids(self, source: str, *, notes: bool = False) -> "IdList":
        """Order ids from a file, or from standard input for `-`. Raises UsageError naming file and line.

        With `notes`, the reasons and messages that a CSV has beside them too.
        """
        from orderctl.files.id_file import read_ids

        codes = self.reason_codes if notes else None
        if source == "-":
            return read_ids(sys.stdin.buffer, "standard input", codes)
        try:
            with Path(source).open("rb") as stream:
                return read_ids(stream, source, codes)
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}", hint="check the path") from error

    def open_source(self, file: str, request: "SourceRequest", progress: "Progress") -> "FileSource":
        """A file of orders, read and checked, as a context manager. Raises UsageError if it cannot be read at all."""
        from orderctl.files.source import open_source

        return open_source(
            Path(file),
            Path(request.map_file) if request.map_file else None,
            map_name=request.map_name,
            defaults=request.defaults,
            read_at=self.clock.now(),
            progress=progress,
        )

    @staticmethod
    def shipped_maps() -> list[tuple[str, str]]:
        """The names of the column maps that ship with the program, and what each is for."""
        from orderctl.files.shipped_maps import map_names, shipped_map

        return [(name, shipped_map(name).about) for name in map_names()]

    @staticmethod
    def write_error_report(path: str, problems: "Iterable[RowProblem]", *, force: bool) -> None:
        """Write the problems of an import as CSV. Raises UsageError if the file is there, unless forced."""
        from orderctl.files.error_report import write_error_report

        write_error_report(Path(path), problems, force=force)

    @staticmethod
    def write_sample(path: Path, number: int) -> None:
        """Write that many sample orders as JSON lines, as an import reads them. Raises UsageError."""
        from orderctl.domain.exporting import ExportFormat, ExportRequest
        from orderctl.files.export import write_export
        from orderctl.services.sampling import sample_orders

        write_export(sample_orders(number), ExportRequest(format=ExportFormat.JSONL, path=str(path)))

    @staticmethod
    def write_export(orders: "Iterable[Order]", request: "ExportRequest") -> None:
        """Write orders as the request says. Raises UsageError if the target is taken."""
        from orderctl.files.export import write_export

        write_export(orders, request)

    def plan_terms(self) -> "PlanTerms":
        """How long saved plans last, and which need a second operator. Raises UsageError."""
        from orderctl.domain.plan_terms import read_terms

        return read_terms(
            lifetime=self.settings.text("plan_expires"),
            always=self.settings.flag("require_second_operator"),
            above_orders=self.settings.number("second_operator_above_orders"),
            above_amount=self.settings.text("second_operator_above_amount"),
        )

    @staticmethod
    def write_report(report: "BatchReport", path: Path, *, force: bool) -> None:
        """Write a report of one batch as PDF or HTML, by the ending. Raises UsageError if the name is taken."""
        from orderctl.files.batch_reports import write_report

        write_report(report, path, force=force)

    @staticmethod
    def write_record(batches: "Iterable[SealedBatch]", path: str | None, format_: str, *, force: bool) -> None:
        """Write the log for an auditor as `jsonl` or `csv`. Raises UsageError if the name is taken."""
        from orderctl.files.record_writers import write_record

        write_record(batches, path, format_, force=force)

    def provenance(self, source: str) -> "Provenance":
        """Who acts from where, for the log."""
        from orderctl.domain.rejection import Provenance

        return Provenance(
            account=self.settings.text("account"),
            actor=self.actor,
            host=socket.gethostname(),
            program=f"orderctl {__version__}",
            source=source,
        )

    @staticmethod
    def new_id() -> str:
        """A new id of ours, ordered by time."""
        from orderctl.domain.own_ids import new_id

        return new_id()

    def composer(self) -> "JinjaComposer":
        """What turns facts into letters."""
        from orderctl.mail.letters import JinjaComposer

        own = self.settings.text("mail.templates")
        return JinjaComposer(Path(own).expanduser() if own else None, self.settings.text("mail.language"))

    def check_mail(self) -> None:
        """Raise UsageError unless mails could leave; nothing is connected to."""
        self.mailer_factory()()

    @staticmethod
    def mail_address(text: str, where: str) -> str:
        """Exactly one e-mail address. Raises UsageError naming where it was given."""
        from orderctl.mail.addresses import ascii_address

        try:
            return ascii_address(text)
        except UnsendableError as error:
            raise UsageError(f"{where}: {error}", hint="write it as name@brand.example") from None

    def mailer_factory(self) -> "Callable[[], Mailer]":
        """How to open the mail transport; checked now, opened later. Raises UsageError if it is not set up."""
        settings = self.settings
        transport, sender = settings.text("mail.transport"), settings.text("mail.sender")
        if not transport or not sender:
            missing = "mail.sender" if transport else "mail.transport"
            raise UsageError(f"mail is not set up: {missing} is not set", hint="see docs/reference/mail.md")
        if transport == "maildir":
            return self._maildir(sender)
        return self._smtp(sender)

    def _maildir(self, sender: str) -> "Callable[[], Mailer]":
        from orderctl.mail.maildir import MaildirMailer

        folder = self.settings.text("mail.maildir")
        if not folder:
            raise UsageError("mail is not set up: mail.maildir is not set", hint="name a folder")
        return lambda: MaildirMailer(
            Path(folder).expanduser(), sender=sender, reply_to=self.settings.text("mail.reply_to")
        )

    def _smtp(self, sender: str) -> "Callable[[], Mailer]":
        from orderctl.mail.smtp import SmtpMailer, SmtpSettings

        text, number = self.settings.text, self.settings.number
        security = text("mail.security")
        smtp = SmtpSettings(
            host=text("mail.host"),
            port=number("mail.port") or (465 if security == "tls" else 587),
            security=security,
            user=text("mail.user") or None,
            password=_mail_password(self.settings),
            sender=sender,
            reply_to=text("mail.reply_to") or None,
            timeout_s=number("mail.timeout") or 30,
            ca_file=str(Path(text("mail.ca_file")).expanduser()) if text("mail.ca_file") else None,
        )
        return lambda: SmtpMailer(smtp)

    def init_store(self) -> bool:
        """Make the store; False if it is there."""
        from orderctl.store.schema import init_store

        return init_store(self.address)

    def upgrade_store(self) -> tuple[str, str, Path | None]:
        """Bring the store to the current revision; gives the revision before and after, and the copy made before."""
        from orderctl.store.revisions import CURRENT
        from orderctl.store.schema import upgradable_revision, upgrade_store

        before = upgradable_revision(self.address)
        if before == CURRENT:
            return before, CURRENT, None
        copy = None
        if self.address.path is not None:
            name = f"{self.address.path.name}.before-{CURRENT}-{self.clock.now():%Y%m%dT%H%M%S}"
            copy = self.address.path.with_name(name)
            self.backup_store(copy, force=False)
        upgrade_store(self.address)
        return before, CURRENT, copy

    def backup_store(self, file: Path, *, force: bool) -> None:
        """Copy a SQLite store to a private file while others work on it. Raises UsageError for PostgreSQL."""
        from orderctl.files.safe_files import create_path
        from orderctl.store.copies import copy_store
        from orderctl.store.sqlite import SqliteEngine

        if self.address.path is None:
            raise UsageError(
                "a PostgreSQL store is copied by PostgreSQL's own tools",
                hint=f"pg_dump --format=custom --file {file} {self.address.shown!r}; see docs/howto/backup.md",
            )
        engine = SqliteEngine(self.address.path, self.address.shown)
        try:
            with create_path(file, force=force) as unfinished:
                copy_store(engine, unfinished)
        finally:
            engine.close()

    def inspect_store(self, *, quick: bool) -> "Iterable[Check]":
        """Look the store over. Raises StoreUnavailableError if it cannot be reached."""
        from orderctl.store.inspection import inspect_store

        return inspect_store(self.address, self.settings.text("account"), quick=quick)

    @property
    def config_file(self) -> Path:
        """Where the settings are looked for."""
        return _config_file()

    @staticmethod
    def strange_variables() -> dict[str, str]:
        """Environment variables that set nothing, each with the one that was perhaps meant."""
        return unknown_variables(os.environ)

    @staticmethod
    def write_private(path: Path, text: str, *, force: bool) -> None:
        """Write a file that only its owner can read, its folder made if need be. Raises UsageError."""
        from orderctl.files.safe_files import create_file, create_folder

        create_folder(path.parent)
        with create_file(path, force=force) as out:
            out.write(text.encode())

    @property
    def message_domain(self) -> str:
        """The domain of our Message-IDs: that of the sender."""
        sender = self.settings.text("mail.sender")
        if not sender:
            return _NO_DOMAIN
        from orderctl.mail.addresses import domain_of

        return domain_of(sender) or _NO_DOMAIN


def _country_code(name: str) -> str | None:
    if len(name) <= _LONGEST_CODE:
        return None
    from orderctl.files.countries import country_code

    code = country_code(name)
    return None if code == name else code


def _refuse_password(store: Value) -> None:
    """A password on the command line stands in the process list for everyone to read."""
    if holds_password(str(store or "")):
        raise UsageError(
            "the store URL on the command line holds a password, which every user of this computer can see",
            hint="put it into ORDERCTL_STORE, a profile, or ~/.pgpass",
        )


def _mail_password(settings: Settings) -> str | None:
    """The password of the mail server: as set, from a private file, or from the keyring."""
    return settings.text("mail.password") or _secret(
        settings, file="mail.password_file", keyring="mail.keyring", user=settings.text("mail.user")
    )


def _secret(settings: Settings, *, file: str, keyring: str, user: str) -> str | None:
    """A secret from the place that the settings name; None if they name none. Raises UsageError."""
    from orderctl.files.secrets import from_keyring, private_text

    if path := settings.text(file):
        return private_text(Path(path).expanduser(), file)
    return from_keyring(user, keyring) if settings.flag(keyring) else None


def _config_file() -> Path:
    import platformdirs

    named = os.environ.get("ORDERCTL_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("orderctl") / "config.toml"


def _default_store() -> Path:
    import platformdirs

    return platformdirs.user_data_path("orderctl") / "orderctl.db"
