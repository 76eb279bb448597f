"""Reads the orders of a choice once, and asks everything of what was read: one statement, one answer a part."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orderctl.domain.eligibility import Mode
from orderctl.domain.selection import Choice
from orderctl.store.eligibility import refusal_sql
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection

# The orders that the plan rejects, to be continued with AND; and the same added up.
PLANNED = "hit WHERE refusal IS NULL"
GROUPS = "grouped WHERE refusal IS NULL"
# Each order of the choice; all of them by refusal, currency and season; what each buyer has in each season of the plan.
_HIT = (
    "hit AS MATERIALIZED (SELECT id, version, {refusal} AS refusal, currency, season, total, buyer_id, ordered_at,"
    " delivery_from AS begins, coalesce(delivery_to, delivery_from) AS ends,"
    " CASE WHEN changed_at >= :changed_since THEN 1 END AS changed FROM orders WHERE account = :account AND {chosen})"
)
_SUMS = (
    # The one pass that sorts all that was read, by what differs most first; the other sums are made of this one.
    (
        "summed AS MATERIALIZED (SELECT buyer_id, season, currency, refusal, count(*) AS orders, sum(total) AS total,"
        " sum(CASE WHEN total > 0 THEN total ELSE 0 END) AS above_zero, max(total) AS top FROM hit"
        " GROUP BY buyer_id, season, currency, refusal)"
    ),
    (
        "grouped AS MATERIALIZED (SELECT refusal, currency, season, CAST(sum(orders) AS BIGINT) AS orders,"
        " CAST(sum(total) AS BIGINT) AS total, CAST(sum(above_zero) AS BIGINT) AS above_zero, max(top) AS top"
        " FROM summed GROUP BY refusal, currency, season)"
    ),
    (
        "bought AS MATERIALIZED (SELECT buyer_id, season, CAST(sum(orders) AS BIGINT) AS orders FROM summed"
        " WHERE refusal IS NULL GROUP BY buyer_id, season)"
    ),
    (
        "told AS MATERIALIZED (SELECT bought.buyer_id AS id, buyer.name, buyer.email, buyer.language,"
        " sum(bought.orders) AS orders FROM bought"
        " LEFT JOIN buyer ON buyer.account = :account AND buyer.id = bought.buyer_id"
        " GROUP BY bought.buyer_id, buyer.name, buyer.email, buyer.language)"
    ),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A question to the orders that were read: a query and the columns of it that answer."""

    name: str
    columns: str
    query: str


@dataclass(frozen=True, slots=True)
class Read:
    """The answers, each as the database packed it."""

    packed: Mapping[str, str]

    def rows(self, name: str) -> list[list[Any]]:
        """The rows of a part."""
        rows: list[list[Any]] = json.loads(self.packed[name])
        return rows


def read_choice(
    connection: Connection,
    choice: Choice,
    mode: Mode,
    parts: Iterable[Part],
    *,
    objects: Mapping[str, str],
    also: Iterable[str],
    params: Mapping[str, object],
) -> Read:
    """Read the orders of a choice; `also` names further subqueries, `objects` what is packed from id to value."""
    dialect = connection.dialect
    chosen = choice_condition(choice, dialect)
    packed = {part.name: dialect.json_rows(part.columns, f"({part.query}) AS {part.name}_part") for part in parts}
    packed |= objects
    hit = _HIT.format(refusal=refusal_sql(mode), chosen=chosen.sql)
    answers = ", ".join(f"(SELECT {sql}) AS {name}" for name, sql in packed.items())
    row = connection.execute(
        f"WITH RECURSIVE {', '.join((hit, *_SUMS, *also))} SELECT {answers}", {**chosen.params, **params}
    ).fetchone()
    return Read(dict(zip(packed, row or (), strict=True)))
