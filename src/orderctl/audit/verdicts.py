"""What became of each id that a batch was asked about: its verdict, why, and where the id came from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from orderctl.audit.log import Batch
from orderctl.audit.queries import IN_BATCH
from orderctl.database.connection import Connection
from orderctl.files.csv import csv_rows, escape_formula
from orderctl.language import N_
from orderctl.orders.document import Document
from orderctl.orders.eligibility import RULE_BY_CODE

REJECTED = "rejected"
NOT_ASKED = "not-asked"
# Codes of what changed between a plan and its batch, where no rule names it.
EDITED, REMOVED = "edited", "removed"
_CHANGES = {EDITED: N_("was changed meanwhile"), REMOVED: N_("is gone")}
_FIRST = 5
_COLUMNS = ("order_id", "verdict", "code", "reason", "source", "line")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one id. `code` says why, if it was not rejected; `line` is 0 if its source has no lines."""

    order_id: str
    verdict: str
    code: str = ""
    source: str = ""
    line: int = 0

    @property
    def reason(self) -> str:
        """Why, in English; empty where the verdict says it all."""
        return reason_of_code(self.code)


@dataclass(frozen=True, slots=True)
class VerdictGroup:
    """The ids with one verdict and code: how many, and the first of them."""

    verdict: str
    code: str
    count: int
    first: tuple[str, ...]


def reason_of_code(code: str) -> str:
    """The English reason of a rule's code, or of what changed."""
    return RULE_BY_CODE[code].reason if code in RULE_BY_CODE else _CHANGES.get(code, "")


def verdict_groups(connection: Connection, batch: Batch) -> tuple[VerdictGroup, ...]:
    """The ids that the batch did not reject, by verdict and code."""
    found = connection.execute(
        "SELECT verdict, code, number, order_id FROM (SELECT verdict, code, order_id,"
        " count(*) OVER (PARTITION BY verdict, code) AS number,"
        " row_number() OVER (PARTITION BY verdict, code ORDER BY order_id) AS place"
        f" FROM batch_verdict WHERE {IN_BATCH}) AS said WHERE place <= {_FIRST} ORDER BY verdict, code, place",
        {"batch": batch.id},
    )
    groups: dict[tuple[str, str, int], list[str]] = {}
    for verdict, code, number, order_id in found:
        groups.setdefault((verdict, code, number), []).append(order_id)
    return tuple(VerdictGroup(*group, tuple(first)) for group, first in groups.items())


def batch_verdicts(connection: Connection, batch: Batch, ids: Sequence[str] | None = None) -> Iterator[Verdict]:
    """The verdict on each id, sorted by id. With `ids`, on these alone, also if the batch was not asked about them."""
    dialect, among = connection.dialect, ""
    bound: dict[str, object] = {"batch": batch.id, "rest": _source_of_the_rest(connection, batch)}
    if ids is not None:
        among, bound["ids"] = f" AND {{}} {dialect.among('ids')}", dialect.bind_ids(ids)
    each = "json_each(nullif(s.lines, ''))"
    if dialect.name != "sqlite":
        each = "json_each_text(nullif(s.lines, '')::json)"
    found = connection.stream(
        # MATERIALIZED: SQLite then builds an index, and does not read all lines for each id.
        "WITH origin AS MATERIALIZED (SELECT line.key AS order_id, s.source, CAST(line.value AS INTEGER) AS line"
        f" FROM batch_origin AS s CROSS JOIN {each} AS line WHERE s.account = :account AND s.batch_id = :batch"
        f"{among.format('line.key')}) SELECT said.order_id, said.verdict, said.code, coalesce(origin.source, :rest),"
        " coalesce(origin.line, 0) FROM ("
        f"SELECT order_id, verdict, code FROM batch_verdict WHERE {IN_BATCH}{among.format('order_id')} UNION ALL"
        f" SELECT id AS order_id, '{REJECTED}' AS verdict, '' AS code FROM orders WHERE {IN_BATCH}{among.format('id')}"
        ") AS said LEFT JOIN origin ON origin.order_id = said.order_id ORDER BY said.order_id",
        bound,
    )
    verdicts = (Verdict(*row) for row in found)
    return verdicts if ids is None else _of_each(ids, verdicts)


def _source_of_the_rest(connection: Connection, batch: Batch) -> str:
    """Where ids without a line came from; batches of earlier versions know it of all at once."""
    row = connection.execute(
        f"SELECT source FROM batch_origin WHERE {IN_BATCH} AND lines = '' ORDER BY number", {"batch": batch.id}
    ).fetchone()
    return str(row[0]) if row else batch.source


def _of_each(ids: Iterable[str], verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    known: Mapping[str, Verdict] = {verdict.order_id: verdict for verdict in verdicts}
    return (known.get(order_id) or Verdict(order_id, NOT_ASKED) for order_id in sorted(set(ids)))


def verdict_of_id(verdict: Verdict) -> Document:
    """The verdict on one id as a document; `line` is null if its source has no lines."""
    return {name: getattr(verdict, name) for name in _COLUMNS} | {"line": verdict.line or None}


def groups_document(batch: Batch, groups: Iterable[VerdictGroup]) -> list[Document]:
    """How many ids have which verdict."""
    counted = [(REJECTED, "", batch.rejected), *((group.verdict, group.code, group.count) for group in groups)]
    return [
        {"verdict": verdict, "code": code, "reason": reason_of_code(code), "count": count}
        for verdict, code, count in counted
    ]


def write_verdicts(verdicts: Iterable[Verdict], out: TextIO) -> None:
    """Write verdicts as CSV, one a row under a header."""
    writer = csv_rows(out)
    writer.writerow(_COLUMNS)
    for verdict in verdicts:
        cells = verdict_of_id(verdict).values()
        writer.writerow([escape_formula(cell) if isinstance(cell, str) else cell for cell in cells])
