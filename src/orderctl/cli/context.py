"""What the parts of a run share: settings, store, clock, screen. Each is made when it is first used."""

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orderctl.errors import UsageError
from orderctl.language import _
from orderctl.mail.transports import Mailing
from orderctl.settings import Settings, Value, holds_password, read_settings

if TYPE_CHECKING:
    from orderctl.audit.heads import SeenHead
    from orderctl.audit.log import Head
    from orderctl.audit.service import Auditor
    from orderctl.database.address import Address
    from orderctl.database.clock import SystemClock
    from orderctl.database.connection import Connection, Statements
    from orderctl.database.store import Store
    from orderctl.terminal.console import Screen
    from orderctl.terminal.output import Output
    from orderctl.terminal.run_log import RunLog


class Context:
    """What each command gets: the options that may stand anywhere, and what is made from them and the settings."""

    def __init__(self, **options: Value) -> None:
        self._flags: dict[str, Value] = {}
        self.quiet = self.verbose = False
        self.paged = True
        self._statements: Statements | None = None
        self._seen: SeenHead | None = None
        self.changed = False
        self.begun: list[str] = []  # the ids of the batches that were begun, without those that changed nothing
        self.take(options)

    def take(self, options: Mapping[str, Value]) -> None:
        """Take options from before or behind the command; a later value replaces an earlier. Raises UsageError."""
        self._flags |= {name: options[name] for name in ("store", "profile", "log_file") if name in options}
        self.quiet = self.quiet or bool(options.get("quiet"))
        self.verbose = self.verbose or bool(options.get("verbose"))
        self.paged = self.paged and not options.get("no_pager")
        if self.quiet and self.verbose:
            raise UsageError(_("--quiet and --verbose are opposites"), hint=_("leave one of them out"))

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once. Raises UsageError."""
        _refuse_password(self._flags["store"])
        return read_settings(config_file(), os.environ, self._flags)

    @cached_property
    def actor(self) -> str:
        """Who acts: as set, or the login name. Raises UsageError."""
        try:
            return self.settings.text("actor") or getpass.getuser()
        except (KeyError, OSError):
            raise UsageError(_("nobody is logged in under a name"), hint=_("set ORDERCTL_ACTOR")) from None

    @cached_property
    def clock(self) -> "SystemClock":
        """The clock; it passes over the batch whose own time is wrong by the settings (`wrong_time_of`)."""
        from orderctl.database.clock import SystemClock

        return SystemClock(lambda: self.settings.text("wrong_time_of"))

    @cached_property
    def mailing(self) -> Mailing:
        """How mails are sent, by the settings."""
        return Mailing(self.settings)

    @cached_property
    def auditor(self) -> "Auditor | None":
        """Who gets a checkpoint after each batch, by the settings. Raises UsageError for what is no address.

        A key that cannot be used is told, once: no rejection fails for it.
        """
        text = self.settings.text("checkpoint.auditor")
        if not text:
            return None
        from orderctl.audit.checkpoint import KEY_SETTING, SigningKey
        from orderctl.audit.service import Auditor

        key_file, key = self.settings.path(KEY_SETTING), None
        try:
            key = SigningKey.read(key_file) if key_file else None
        except UsageError as error:
            self.screen.warn(_("the checkpoints for the auditor are not signed: {problem}", problem=error.sentence))
        address = self.mailing.address(text, "checkpoint.auditor")
        return Auditor(address=address, message_domain=self.mailing.message_domain, clock=self.clock, key=key)

    def audited(self, store: "Store", batch_id: str) -> "Store":
        """The store in which this batch is to be made, with what the auditor gets of it."""
        if self.auditor is None:
            return store
        from orderctl.audit.service import AuditedStore

        return AuditedStore(store, self.auditor, batch_id)

    @cached_property
    def address(self) -> "Address":
        """Where the store is: as set, or else a file in the user's data folder. Raises UsageError."""
        from orderctl.database.address import parse_address

        settings = self.settings
        address = parse_address(settings.text("store") or str(_default_store()))
        if address.conninfo is None:
            return address
        user = address.shown.removeprefix("postgresql://")
        password = settings.secret(file="store_password_file", keyring="store_keyring", user=user)
        return address.with_password(password) if password else address

    def open_store(self, *, members_only: bool = True) -> "Store":
        """The store with the account of the settings, as a context manager; see `Store` for `members_only`."""
        from orderctl.database.store import Store, make_engine

        return Store(
            make_engine(self.address),
            self.settings.text("account"),
            self.settings.text("label"),
            watch=self._watch if self._is_watched() else None,
            committed=self.note_change,
            members_only=members_only,
        )

    def check_head(self, store: "Store") -> None:
        """Raise OrderctlError if the store went back since this user saw it last."""
        from orderctl.audit.heads import checked_head

        self._seen = checked_head(store, self.state_folder, self.screen.warn)

    def note_head(self, head: "Head | None") -> None:
        """Remember the batch that was just made, where the store was checked before."""
        if self._seen and head:
            self._seen.note(head)

    @property
    def state_folder(self) -> Path:
        """Where the newest batch that this user saw of each store is kept."""
        import platformdirs

        return platformdirs.user_state_path("orderctl") / "heads"

    def note_change(self) -> None:
        """Note that something was changed: the exit code has to say so, whatever happens next."""
        self.changed = True

    @cached_property
    def output(self) -> "Output":
        """Standard output, for text that other programs read."""
        from orderctl.terminal.output import Output

        return Output()

    @cached_property
    def screen(self) -> "Screen":
        """The terminal: results go to standard output, messages to standard error."""
        from orderctl.terminal.amounts import use_zone
        from orderctl.terminal.console import Screen

        use_zone(self._zone())
        return Screen(run_log=self.run_log, quiet=self.quiet, paged=self.paged)

    @cached_property
    def run_log(self) -> "RunLog":
        """The log of this run, step by step."""
        from orderctl.core.ids import new_id
        from orderctl.terminal.run_log import RunLog

        return RunLog(self.settings.path("log_file"), verbose=self.verbose, run_id=new_id())

    def end(self, command: str, exit_code: int) -> None:
        """Note in the run log how the run ended, if there is one."""
        with suppress(UsageError):  # the settings are wrong, which the command has said
            if self._is_watched():
                spent = self._statements
                figures = {"statements": spent.count, "store_seconds": round(spent.seconds, 3)} if spent else {}
                self.run_log.end(command, exit_code, dict(figures))

    def _is_watched(self) -> bool:
        """Whether the run is logged, to a file or to standard error."""
        return self.verbose or bool(self.settings.text("log_file"))

    def _watch(self, connection: "Connection") -> "Connection":
        from orderctl.database.connection import CountingConnection, Statements

        self._statements = self._statements or Statements()
        return CountingConnection(connection, self._statements)

    def _zone(self) -> tzinfo | None:
        """The time zone of the times shown; None is that of the computer. Raises UsageError."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        name = self.settings.text("time_zone")
        try:
            return ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                _("time_zone: {name!r} is not a known time zone", name=name), hint=_("write it as in Europe/Paris")
            ) from None


def _refuse_password(store: Value) -> None:
    """Raise UsageError for a password on the command line, which every user can see in the list of processes."""
    if holds_password(str(store or "")):
        raise UsageError(
            _("the store URL on the command line holds a password, which every user of this computer can see"),
            hint=_("put it into ORDERCTL_STORE, a profile, or ~/.pgpass"),
        )


def config_file() -> Path:
    """The path of the settings file."""
    import platformdirs

    named = os.environ.get("ORDERCTL_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("orderctl") / "config.toml"


def maps_folder() -> Path:
    """Where the user's own column maps are kept: beside the settings."""
    return config_file().parent / "maps"


def pulls_folder() -> Path:
    """Where the pages of a pull are kept until it is done."""
    import platformdirs

    return platformdirs.user_cache_path("orderctl") / "pulls"


def _default_store() -> Path:
    import platformdirs

    return platformdirs.user_data_path("orderctl") / "orderctl.db"
