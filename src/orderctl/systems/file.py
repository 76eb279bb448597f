"""A folder as a system: a file for each batch, with a row for each order, for whoever cancels them from a file."""

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from errno import EACCES
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Self

from orderctl.core.text import nearest, safe
from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import OrderctlError, ServerUnavailableError, UsageError, os_reason, reason_of
from orderctl.files.csv import csv_rows, escape_formula
from orderctl.files.safe import create_path, safe_file_name
from orderctl.language import _
from orderctl.systems.systems import (
    CONFLICT,
    NOT_NOW,
    TAKEN,
    UNREACHABLE,
    Cancellation,
    SystemSettings,
    cancellation_document,
)

_LONGEST_NOTE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of files: the row of an order, and what stands around the rows. `most` rows fit into one file.

    `row` gives one line without its end. A row is recognized by its whole line, which is the same at each attempt.
    """

    row: Callable[[Cancellation], str]
    name: str
    head: str = ""
    between: str = ""
    foot: str = ""
    most: int = 5_000

    def written(self, text: str) -> list[str]:
        """The rows of a file."""
        inside = text.removeprefix(self.head).removesuffix(self.foot)
        return inside.removesuffix("\n").split(f"{self.between}\n") if inside else []

    def text(self, rows: list[str]) -> str:
        """A file with these rows."""
        return "".join((self.head, f"{self.between}\n".join(rows), "\n", self.foot))


class _NotInFormatError(Exception):
    """The format cannot hold the order; the text says why."""


class FileSystem:
    """Writes each order into the file of its batch: `SENT` means that it stands there and is on the disk.

    Each row makes the file anew and gives it its name when it is whole, so that nobody reads half of it. Who writes has
    locked the folder; a row that is there is not written again.
    """

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        self._name = settings.name
        settings.needed("folder", _("such as: folder = '/srv/exchange/cancelled'"))
        self._folder = settings.settings.path(f"systems.{settings.name}.folder") or Path()
        written = settings.text("format") or "csv"
        if written not in FORMATS:
            raise UsageError(
                _("systems.{name}.format: there is no format {text!r}", name=self._name, text=safe(written)),
                hint=nearest(written, tuple(FORMATS), _("one of: {known}", known=", ".join(FORMATS))),
            )
        self._format = FORMATS[written]
        self._lock: int | None = None

    def check(self) -> None:
        """Raise UsageError if files cannot be written into the folder."""
        try:
            os.close(self._opened())
        except ServerUnavailableError as error:
            raise UsageError(error.message, hint=error.hint) from None
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise UsageError(
                _(UNREACHABLE, system=self._name, why=f"{self._folder}: {os.strerror(EACCES)}"),
                hint=_("let this user write there, or check systems.{name}.folder", name=self._name),
            )

    def __enter__(self) -> Self:
        """Look for the folder. Raises ServerUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the folder."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    @property
    def connected(self) -> bool:
        """Whether the folder was there."""
        return self._lock is not None

    def connect(self) -> None:
        """Look for the folder. It is never made, for a disk may not be mounted. Raises ServerUnavailableError."""
        if self._lock is None:
            self._lock = self._opened()

    def _opened(self) -> int:
        try:
            return os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ServerUnavailableError(
                _(UNREACHABLE, system=self._name, why=f"{self._folder}: {os_reason(error)}"),
                hint=_("make the folder, or check systems.{name}.folder", name=self._name),
            ) from None

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Write one order, unless it is there. Raises ServerUnavailableError if the folder is not there."""
        try:
            row = self._format.row(cancellation)
        except _NotInFormatError as error:
            return Outcome(state=DeliveryState.REFUSED, detail=_(CONFLICT, system=self._name, why=str(error)))
        self._lock = lock = self._opened() if self._lock is None else self._lock
        if not begin():
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                path = self._write(cancellation.batch_id, row)
                os.fsync(lock)
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
        except (OSError, OrderctlError) as error:
            # What has its name may not be on the disk: the next attempt finds it, or writes it.
            return Outcome(state=DeliveryState.RETRY, detail=_(NOT_NOW, system=self._name, why=reason_of(error)))
        return Outcome(state=DeliveryState.SENT, detail=_(TAKEN, system=self._name, reply=path.name))

    def _write(self, batch_id: str, row: str) -> Path:
        """The file in which the row stands, after it was written if need be."""
        for number in count(1):
            path = self._folder / self._format.name.format(batch=safe_file_name(batch_id), part=_part(number))
            rows = self._format.written(_text_of(path)) if path.is_file() else []
            if row in rows:
                return path
            if len(rows) < self._format.most:
                break
        with create_path(path, force=True) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            file.write(self._format.text([*rows, row]))
            file.flush()
            os.fsync(file.fileno())
        return path


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OrderctlError(
            _("{path} is no longer as it was written: it is not UTF-8", path=path), hint=_("move it away")
        ) from None


def _part(number: int) -> str:
    return "" if number == 1 else f"-{number}"


def _csv(*cells: str) -> str:
    """A row of a CSV, without line breaks in it and with nothing that a spreadsheet runs."""
    out = StringIO()
    csv_rows(out).writerow([escape_formula(" ".join(cell.split())) for cell in cells])
    return out.getvalue().removesuffix("\n")


_COLUMNS = ("id", "key", "order", "reference", "reason", "reason_code", "currency", "total", "rejected_at", "batch")
_MATRIXIFY = ("Command", "Cancelled At", "Cancel: Reason", "Cancel: Send Receipt", "Cancel: Refund")


def _plain_row(cancellation: Cancellation) -> str:
    document = cancellation_document(cancellation)
    return _csv(*(str(document[column]) for column in _COLUMNS))


def _json_row(cancellation: Cancellation) -> str:
    return json.dumps(cancellation_document(cancellation))


def _shopify_row(cancellation: Cancellation) -> str:
    """The variables of `orderCancel` for a bulk operation. No money and no goods move, and no buyer is told."""
    key = cancellation.key
    order = f"gid://shopify/Order/{key}" if _number(cancellation) else key
    return json.dumps(
        {
            "orderId": order,
            "reason": "OTHER",
            "refundMethod": {"originalPaymentMethodsRefund": False},
            "restock": False,
            "notifyCustomer": False,
            "staffNote": f"{cancellation.id}: {cancellation.reason}"[:_LONGEST_NOTE],
        }
    )


def _woocommerce_row(cancellation: Cancellation) -> str:
    if not _number(cancellation):
        raise _NotInFormatError(_("{key} is no id of WooCommerce: those are numbers", key=safe(cancellation.key)))
    meta = [
        {"key": "_orderctl_id", "value": cancellation.id},
        {"key": "_orderctl_reason", "value": cancellation.reason},
    ]
    return json.dumps({"id": int(cancellation.key), "status": "cancelled", "meta_data": meta})


def _odoo_row(cancellation: Cancellation) -> str:
    return " ".join(cancellation.key.split())


def _matrixify_row(cancellation: Cancellation) -> str:
    """An update of the order: no refund, and no buyer is told."""
    number, name = (cancellation.key, "") if _number(cancellation) else ("", cancellation.key)
    at = cancellation.rejected_at.strftime("%Y-%m-%d %H:%M:%S %z")
    return _csv(number, name, "UPDATE", at, "other", "FALSE", "FALSE")


def _number(cancellation: Cancellation) -> bool:
    return cancellation.key.isascii() and cancellation.key.isdigit()


FORMATS = {
    "csv": Format(row=_plain_row, name="{batch}{part}.csv", head=f"{','.join(_COLUMNS)}\n"),
    "jsonl": Format(row=_json_row, name="{batch}{part}.jsonl"),
    "shopify": Format(row=_shopify_row, name="{batch}{part}.jsonl"),
    # WooCommerce takes a hundred orders at once.
    "woocommerce": Format(
        row=_woocommerce_row,
        name="{batch}{part}.json",
        head='{"update": [\n',
        between=",",
        foot="]}\n",
        most=100,
    ),
    "odoo": Format(row=_odoo_row, name="{batch}{part}.txt"),
    # It knows what a CSV holds by its name.
    "matrixify": Format(row=_matrixify_row, name="Orders-{batch}{part}.csv", head=f"ID,Name,{','.join(_MATRIXIFY)}\n"),
}
