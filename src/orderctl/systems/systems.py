"""The systems in which orders live: what each can do, which kinds there are, and their settings.

An order lives in the system that is called as its source is: what `pull shop` or `import --source shop` brought, lives
in `systems.shop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Protocol, TypeVar, runtime_checkable

from orderctl.core.money import Money, plain_amount
from orderctl.core.text import nearest, safe
from orderctl.delivery.outbox import Item
from orderctl.delivery.workers import Sender
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError
from orderctl.files.csv import Table
from orderctl.language import N_, _
from orderctl.settings import Settings
from orderctl.systems.pages import KeptPages

# The codes under which the outbox keeps what systems say of a cancellation: never change or reuse one.
CANCELLED_THERE = N_("{system} cancelled it")
WAS_CANCELLED = N_("{system} had cancelled it before")
CONFLICT = N_("{system} does not cancel it: {why}")
NOT_THERE = N_("{system} has no order {key}")
TAKEN = N_("{system} took it: {reply}")
NOT_NOW = N_("{system} puts it off: {why}")
UNREACHABLE = N_("{system} cannot be reached: {why}")
LOGIN_REFUSED = N_("{system} refuses the login: {why}")
NO_ANSWER = N_("{system} did not answer ({why}); it may have cancelled the order")
ASKED_CANCELLED = N_("asked afterwards, {system} says that it is cancelled")
ASKED_OPEN = N_("asked afterwards, {system} says that it is open")
DETAILS = {
    "cancelled-there": CANCELLED_THERE,
    "was-cancelled": WAS_CANCELLED,
    "conflict": CONFLICT,
    "not-there": NOT_THERE,
    "taken-there": TAKEN,
    "not-now": NOT_NOW,
    "system-unreachable": UNREACHABLE,
    "system-login": LOGIN_REFUSED,
    "no-answer": NO_ANSWER,
    "asked-cancelled": ASKED_CANCELLED,
    "asked-open": ASKED_OPEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """What a system is to be told: the rejection of one order, under the key that the order has there.

    `id` is that of the write-back: the same at each attempt, so that a system can tell a repetition. `amount` is in
    minor units; `rejected_at` is in UTC.
    """

    id: str
    order_id: str
    key: str
    batch_id: str
    reason: str
    reason_code: str
    amount: Money
    rejected_at: datetime
    reference: str = ""


def cancellation_document(cancellation: Cancellation) -> dict[str, object]:
    """A cancellation as programs read it (docs/howto/close-the-loop.md)."""
    return {
        "id": cancellation.id,
        "order": cancellation.order_id,
        "key": cancellation.key,
        "reference": cancellation.reference,
        "batch": cancellation.batch_id,
        "reason": cancellation.reason,
        "reason_code": cancellation.reason_code,
        "currency": cancellation.amount.currency,
        "total": plain_amount(cancellation.amount.minor, cancellation.amount.currency),
        "rejected_at": cancellation.rejected_at.isoformat(),
    }


class Found(StrEnum):
    """How an order stands in its system."""

    OPEN = "open"
    CANCELLED = "cancelled"
    CLOSED = "closed"  # shipped, invoiced or paid out: it will not be cancelled there
    MISSING = "missing"


class System(Sender[Item, Cancellation], Protocol):
    """One connection to a system. `send` cancels one order there.

    The outcome is `SENT` only if the system said that the order is cancelled, `REFUSED` if it will not cancel it (a
    conflict), `RETRY` if it may later, `UNKNOWN` if no answer came. ServerUnavailableError: nothing was handed over.
    """


@runtime_checkable
class Readable(Protocol):
    """A system that can be asked how its orders stand, while its connection is open."""

    def look(self, keys: Sequence[str]) -> Mapping[str, Found]:
        """How these orders stand there, by key. Raises ServerUnavailableError."""


@runtime_checkable
class Pullable(Protocol):
    """A system whose orders can be read whole, while its connection is open."""

    def orders(self, keys: Sequence[str] | None = None, kept: KeptPages | None = None) -> AbstractContextManager[Table]:
        """The orders as rows, page by page in constant memory: of these keys, or all, with the pages that are `kept`.

        The header is the one that the column map `map_name` reads. The rows raise ServerUnavailableError.
        """

    @property
    def map_name(self) -> str:
        """The shipped column map that reads `orders`, unless the settings name another; empty: our own names."""

    @property
    def by_key(self) -> bool:
        """Whether it can be asked for orders of some keys alone."""


@runtime_checkable
class Local(Protocol):
    """A system on this computer: whether it can be told of orders is known without asking anybody."""

    def check(self) -> None:
        """Raise UsageError if the program or the folder of the settings cannot be used now."""


class NotNowError(ServerUnavailableError):
    """The system puts a request off, and did nothing. `why` are its words.

    It does not want to be asked again for `wait_s` seconds; 0 if it does not say.
    """

    def __init__(self, message: str, why: str, *, hint: str, wait_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.why, self.wait_s = why, wait_s


_PAUSES_S, _LONGEST_PAUSE_S = (0.5, 2.0, 5.0), 60.0
_T = TypeVar("_T")


def patiently(ask: Callable[[], _T]) -> _T:
    """The answer to something that changes nothing, asked again a few times while the system is not there.

    Raises ServerUnavailableError, at once if only a person can mend it, or if the system is away for long.
    """
    for pause_s in _PAUSES_S:
        try:
            return ask()
        except ServerSetupError:
            raise
        except ServerUnavailableError as error:
            wait_s = error.wait_s if isinstance(error, NotNowError) else 0.0
            if wait_s > _LONGEST_PAUSE_S:
                raise
            time.sleep(max(pause_s, wait_s))
    return ask()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of system: its module, its class, and which of an order's columns is the key that the order has there."""

    module: str
    made_by: str
    about: str
    key: str = "id"


# A kind is a file in this room and a line here.
KINDS = {
    "command": Kind(module="command", made_by="CommandSystem", about=N_("a program that reads and answers JSON lines")),
    "file": Kind(module="file", made_by="FileSystem", about=N_("a folder, with a file for each batch")),
    "sql": Kind(module="sql", made_by="sql_system", about=N_("a database, and the UPDATE that cancels one order")),
    "webhook": Kind(module="webhook", made_by="WebhookSystem", about=N_("an address that takes signed events")),
    "shopify": Kind(module="shopify", made_by="ShopifySystem", about=N_("Shopify, by its Admin API"), key="reference"),
    "woocommerce": Kind(
        module="woocommerce", made_by="WooCommerceSystem", about=N_("WooCommerce, by its REST API"), key="reference"
    ),
    "odoo": Kind(module="odoo", made_by="OdooSystem", about=N_("Odoo, by JSON-2 or JSON-RPC")),
    "tryton": Kind(module="tryton", made_by="TrytonSystem", about=N_("Tryton, by its JSON-RPC")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    """The settings of one system: `systems.NAME` of the profile."""

    name: str
    kind: str
    settings: Settings

    def text(self, option: str) -> str:
        """A text; empty if it is not set."""
        return self.settings.text(f"systems.{self.name}.{option}")

    def needed(self, option: str, hint: str) -> str:
        """A text that must be there. Raises UsageError."""
        if text := self.text(option):
            return text
        raise UsageError(_("systems.{name}.{option} is not set", name=self.name, option=option), hint=hint)

    def number(self, option: str) -> int:
        """A number; 0 if it is not set."""
        return self.settings.number(f"systems.{self.name}.{option}") or 0

    def flag(self, option: str) -> bool:
        """A yes or no."""
        return self.settings.flag(f"systems.{self.name}.{option}")

    def secret(self) -> str | None:
        """The password or token, from the file or the keyring that the settings name. Raises UsageError."""
        key = f"systems.{self.name}"
        return self.settings.secret(file=f"{key}.secret_file", keyring=f"{key}.keyring", user=f"orderctl {self.name}")

    @property
    def key(self) -> str:
        """Which column of an order is the key that the order has there: `id` or `reference`."""
        return self.text("key") or KINDS[self.kind].key

    @property
    def whose(self) -> dict[str, str]:
        """What says whose orders are read there, and by whom."""
        return {option: self.text(option) for option in ("kind", "url", "user", "database", "format")}

    def checked(self) -> System:
        """A connection, not opened yet, after all was looked at that needs no network. Raises UsageError."""
        made = self.connect()
        if isinstance(made, Local):
            made.check()
        return made

    def connect(self) -> System:
        """A connection, not opened yet. Raises UsageError for settings that cannot be used."""
        kind = KINDS[self.kind]
        made: System = getattr(import_module(f"orderctl.systems.{kind.module}"), kind.made_by)(self)
        return made


def configured(settings: Settings) -> dict[str, SystemSettings]:
    """The systems of the profile, by name. Raises UsageError for a kind that there is not."""
    found = {}
    for name in settings.names("systems"):
        kind = settings.text(f"systems.{name}.kind")
        if kind not in KINDS:
            raise UsageError(
                _("systems.{name}.kind: there is no kind {kind!r}", name=name, kind=safe(kind)),
                hint=nearest(kind, tuple(KINDS), _("one of: {known}", known=", ".join(KINDS))),
            )
        found[name] = SystemSettings(name=name, kind=kind, settings=settings)
    return found


def system_named(settings: Settings, name: str) -> SystemSettings:
    """The system of that name. Raises UsageError if there is none."""
    known = configured(settings)
    if name in known:
        return known[name]
    raise UsageError(
        _("there is no system {name!r} in the settings", name=safe(name)),
        hint=nearest(name, tuple(known), _("write [profile.NAME.systems.{name}] with its kind", name=safe(name))),
    )
