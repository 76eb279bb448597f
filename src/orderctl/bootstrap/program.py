"""Puts the program together: this package alone imports adapters, each when a command first needs it."""

import getpass
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orderctl import __version__
from orderctl.bootstrap.mailing import Mailing
from orderctl.bootstrap.places import config_file, default_store
from orderctl.bootstrap.secrets import secret
from orderctl.bootstrap.store_care import StoreCare
from orderctl.domain.errors import UsageError
from orderctl.domain.os_errors import os_reason
from orderctl.language import english, later, say
from orderctl.settings import Settings, Value, holds_password, profile_names, read_settings, unknown_variables

if TYPE_CHECKING:
    from orderctl.domain.filters import OrderFilter
    from orderctl.domain.plan_terms import PlanTerms
    from orderctl.domain.reasons import ReasonCodes
    from orderctl.domain.rejection import Provenance
    from orderctl.domain.selection import IdList
    from orderctl.domain.suggestions import Suggestion
    from orderctl.ports import Store, UnitOfWork
    from orderctl.services.rejecting import HeldBatch
    from orderctl.store.address import Address
    from orderctl.store.sql import Connection
    from orderctl.store.watching import Statements
    from orderctl.terminal.journal import Journal
    from orderctl.terminal.output import Output
    from orderctl.terminal.prompts import Prompts
    from orderctl.terminal.screen import Screen


_LONGEST_CODE = 2
_SUGGESTED = 60


class SystemClock:
    """The computer's clock, and the database's where it has one; see `ports.Clock`.

    `wrong_time_of` gives the id of a batch that was made while the clock was wrong.
    """

    def __init__(self, wrong_time_of: Callable[[], str] = lambda: "") -> None:
        self._wrong_time_of = wrong_time_of

    @staticmethod
    def now() -> datetime:
        """The present in UTC."""
        return datetime.now(UTC)

    def of(self, work: "UnitOfWork") -> datetime:
        """The present of a transaction."""
        return work.present(self.now())

    def for_record(self, work: "UnitOfWork") -> datetime:
        """The same, to be recorded. Raises OrderctlError if it is behind the newest record."""
        return work.reading(self.now(), wrong=self._wrong_time_of()).to_record()


class Program:
    """The parts of the program for one run, made when they are first asked for."""

    def __init__(self, **options: Value) -> None:
        self._flags: dict[str, Value] = {}
        self.quiet = self.verbose = False
        self._paged = True
        self._statements: Statements | None = None
        self.clock = SystemClock(lambda: self.settings.text("wrong_time_of"))
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
            raise UsageError(say("--quiet and --verbose are opposites"), hint=say("leave one of them out"))

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
            raise UsageError(say("nobody is logged in under a name"), hint=say("set ORDERCTL_ACTOR")) from None

    @cached_property
    def address(self) -> "Address":
        """Where the store is: as set, or a file in the user's data folder."""
        from orderctl.store.address import parse_address

        settings = self.settings
        address = parse_address(settings.text("store") or str(default_store()))
        if address.conninfo is None:
            return address
        user = address.shown.removeprefix("postgresql://")
        password = secret(settings, file="store_password_file", keyring="store_keyring", user=user)
        return address.with_password(password) if password else address

    def open_store(self) -> "Store":
        """The store of the profile's account, as a context manager."""
        from orderctl.store.database import SqlStore, make_engine

        return SqlStore(
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
        from orderctl.services.rejecting import held_batches

        with self.open_store() as store:
            return held_batches(store, batch_ids)

    def _is_watched(self) -> bool:
        """Whether anybody wants to know what is done."""
        return self.verbose or bool(self.settings.text("log_file"))

    def _watch(self, connection: "Connection") -> "Connection":
        from orderctl.store.watching import Statements, WatchedConnection

        self._statements = self._statements or Statements()
        return WatchedConnection(connection, self._statements)

    @cached_property
    def journal(self) -> "Journal":
        """What the run does, step by step."""
        from orderctl.terminal.journal import Journal

        return Journal(self.settings.path("log_file"), verbose=self.verbose, run_id=self.new_id())

    def end(self, command: str, exit_code: int) -> None:
        """Note how the run ended, where anybody wants to know."""
        with suppress(UsageError):  # settings that cannot be used: the command has said so
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
        return profile_names(config_file())

    @cached_property
    def mailing(self) -> Mailing:
        """The profile's mail."""
        return Mailing(self.settings)

    @cached_property
    def store_care(self) -> StoreCare:
        """The store as a whole."""
        return StoreCare(self.address)

    @contextmanager
    def planning(self, *, mails: bool) -> Iterator[None]:
        """Show that a plan is in the making; what its preview takes, and its mails, is loaded meanwhile."""
        from orderctl.bootstrap.loading import loading_meanwhile

        def load() -> None:
            from orderctl.terminal import screen  # noqa: F401

            if mails:
                self.mailing.load()

        label = later("Planning")
        shown = self.screen.progress if sys.stderr.isatty() else self.journal.timing
        with shown(label), loading_meanwhile(load):
            yield

    @cached_property
    def screen(self) -> "Screen":
        """What is shown: results on standard output, talk on standard error."""
        from orderctl.terminal.screen import Screen

        return Screen(journal=self.journal, quiet=self.quiet, paged=self._paged, zone=self._zone())

    def _zone(self) -> tzinfo | None:
        """The zone of the times shown; None is that of the computer. Raises UsageError."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        name = self.settings.text("time_zone")
        try:
            return ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                say("time_zone: {name!r} is not a known time zone", name=name), hint=say("write it as in Europe/Paris")
            ) from None

    def draw_page(self, page: str, *, above: str) -> None:
        """Draw a page of Markdown on the terminal, in the pager if it is long; without asking any setting."""
        from orderctl.terminal.markdown import draw_page

        draw_page(page, above=above, paged=self._paged)

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
            raise UsageError(f"reasons: {error}", hint=say("see orderctl help reasons")) from None

    def read_ids(self, source: str, *, notes: bool = False, allow_empty: bool = False) -> "IdList":
        """Order ids from a file, or from standard input for `-`. Raises UsageError naming file and line.

        With `notes`, the reasons and messages that a CSV has beside them too; `allow_empty`: there may be none.
        """
        from orderctl.domain.filter_parser import is_term
        from orderctl.files.id_file import read_ids

        codes = self.reason_codes if notes else None
        if source == "-":
            return read_ids(sys.stdin.buffer, say("standard input"), codes, allow_empty=allow_empty)
        try:
            with Path(source).open("rb") as stream:
                return read_ids(stream, source, codes, allow_empty=allow_empty)
        except OSError as error:
            raise UsageError(
                say("{source} cannot be read: {why}", source=source, why=os_reason(error)),
                hint=say("a filter goes behind --filter, and select takes it as it is")
                if is_term(source)
                else say("check the path"),
            ) from error

    def plan_terms(self) -> "PlanTerms":
        """How long saved plans last, and which need a second operator. Raises UsageError."""
        from orderctl.domain.plan_terms import read_terms

        return read_terms(
            lifetime=self.settings.text("plan_expires"),
            always=self.settings.flag("require_second_operator"),
            above_orders=self.settings.number("second_operator_above_orders"),
            above_amount=self.settings.text("second_operator_above_amount"),
        )

    def provenance(self, source: str, *, selection: str = "") -> "Provenance":
        """Who acts from where, for the log; `selection` if that is where the orders come from."""
        from orderctl.domain.rejection import Provenance

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
        from orderctl.domain.own_ids import new_id

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
    from orderctl.files.countries import country_code

    code = country_code(name)
    return None if code == name else code


def _refuse_password(store: Value) -> None:
    """A password on the command line stands in the process list for everyone to read."""
    if holds_password(str(store or "")):
        raise UsageError(
            say("the store URL on the command line holds a password, which every user of this computer can see"),
            hint=say("put it into ORDERCTL_STORE, a profile, or ~/.pgpass"),
        )
