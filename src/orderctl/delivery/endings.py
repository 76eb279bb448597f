"""Finds plans, batches, mails and write-backs by their id or its ending."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from orderctl.core.ids import read_ending, split_mail_id
from orderctl.database.connection import Connection, ids_ending
from orderctl.errors import UsageError
from orderctl.language import N_, _

PLANS_LISTED = N_("orderctl plan list shows them")
BATCHES_LISTED = N_("orderctl log lists batches")
MAILS_LISTED = N_("orderctl mail list shows them")
WRITEBACKS_LISTED = N_("orderctl writeback list shows them")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """The messages about one kind of record: none found, several found, and how to list them."""

    missing: str
    several: str
    listed: str


_PLAN = _Kind(
    missing=N_("there is no plan {text!r} in this store"),
    several=N_("{text!r} is the ending of several plans: {found}"),
    listed=PLANS_LISTED,
)
_BATCH = _Kind(
    missing=N_("there is no batch {text!r} in this store"),
    several=N_("{text!r} is the ending of several batches: {found}"),
    listed=BATCHES_LISTED,
)
_DELIVERIES = {
    "mail": _Kind(
        missing=N_("there is no mail {text!r} in this store"),
        several=N_("{text!r} is the ending of several mails: {found}"),
        listed=MAILS_LISTED,
    ),
    "writeback": _Kind(
        missing=N_("there is no write-back {text!r} in this store"),
        several=N_("{text!r} is the ending of several write-backs: {found}"),
        listed=WRITEBACKS_LISTED,
    ),
}


def find_plan(connection: Connection, text: str) -> str:
    """The id of the only plan whose id ends in `text`. Raises UsageError if there is none or more than one."""
    return _only(_PLAN, text, lambda: ids_ending(connection, "plan", read_ending(text)))


def find_batch(connection: Connection, text: str) -> str:
    """The id of the batch with this id, or the only one with this ending. Raises UsageError as `find_plan` does."""
    if _among(connection, "batch", [text]):
        return text
    return _only(_BATCH, text, lambda: ids_ending(connection, "batch", read_ending(text)))


def batch_ending(connection: Connection, text: str) -> str | None:
    """The id of the only batch whose id ends in `text`; None if there is none. Raises UsageError for several."""
    try:
        found = ids_ending(connection, "batch", read_ending(text))
    except ValueError:
        return None
    return _single(_BATCH, text, found) if found else None


def find_deliveries(connection: Connection, table: str, texts: Sequence[str]) -> tuple[str, ...]:
    """The ids of the rows of an outbox with these ids or endings, each once. Raises UsageError as `find_plan` does."""
    whole = _among(connection, table, texts) if texts else ()
    found = (
        text if text in whole else _only(_DELIVERIES[table], text, partial(_numbered, connection, table, text))
        for text in texts
    )
    return tuple(dict.fromkeys(found))


def _numbered(connection: Connection, table: str, text: str) -> Iterable[str]:
    """The ids that end in `text`. The id of a delivery is the id of its batch, a point and a number."""
    ending, number = split_mail_id(text)
    return _among(connection, table, [f"{batch_id}.{number}" for batch_id in ids_ending(connection, "batch", ending)])


def _among(connection: Connection, table: str, ids: Sequence[str]) -> frozenset[str]:
    """The ids that the table holds."""
    found = connection.execute(
        f"SELECT id FROM {table} WHERE account = :account AND id IN ({connection.dialect.ids('ids')})",
        {"ids": connection.dialect.bind_ids(ids)},
    )
    return frozenset(str(each) for (each,) in found)


def _only(kind: _Kind, text: str, ending: Callable[[], Iterable[str]]) -> str:
    """The only id that `ending` finds. Raises UsageError if there is none or more than one."""
    missing = _(kind.missing, text=text)
    try:
        found = tuple(ending())
    except ValueError as error:
        raise UsageError(_("{missing}: it {problem}", missing=missing, problem=error), hint=_(kind.listed)) from None
    if not found:
        raise UsageError(missing, hint=_(kind.listed))
    return _single(kind, text, found)


def _single(kind: _Kind, text: str, found: Sequence[str]) -> str:
    if len(found) > 1:
        raise UsageError(_(kind.several, text=text, found=", ".join(found)), hint=_("type more of the id"))
    return found[0]
