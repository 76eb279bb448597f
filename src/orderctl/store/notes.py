"""The notes of a plan as SQL: what an order says of itself, or else what the batch says."""

from collections.abc import Mapping
from dataclasses import dataclass

from orderctl.domain.order_notes import OrderNotes
from orderctl.store.sql import Dialect, recordset

_COLUMNS = dict.fromkeys(("id", "reason", "reason_code", "message"), "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesSql:
    """Pieces of a statement: `with_` before its SELECT, `join` after its tables, and expressions between."""

    with_: str
    join: str
    reason: str
    code: str
    message: str
    params: Mapping[str, object]


def notes_sql(notes: OrderNotes, dialect: Dialect, order_id: str) -> NotesSql:
    """The pieces that join the notes to orders whose id is the expression `order_id`; nothing where there are none."""
    if not notes:
        return NotesSql(with_="", join="", reason=":reason", code=":code", message="''", params={})
    return NotesSql(
        # Materialised: SQLite then makes an index on it instead of reading all notes for each order.
        with_=f"WITH note AS MATERIALIZED ({recordset(dialect, _COLUMNS, 'notes')}) ",
        join=f" LEFT JOIN note ON note.id = {order_id}",
        reason="CASE WHEN note.reason <> '' THEN note.reason ELSE :reason END",
        code="CASE WHEN note.reason <> '' THEN note.reason_code ELSE :code END",
        message="coalesce(note.message, '')",
        params={"notes": notes.packed},
    )
