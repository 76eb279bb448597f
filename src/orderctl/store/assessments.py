"""Splits a choice of orders by eligibility and adds up what rejecting them means, inside the database."""

import json
from datetime import datetime
from typing import Any

from orderctl.domain.eligibility import Mode
from orderctl.domain.money import Money, add_up
from orderctl.domain.orders import OrderSummary
from orderctl.domain.rejection import Given, MailPlan, Skipped, Targets
from orderctl.domain.selection import Choice, IdScope, SelectionScope
from orderctl.ports import Assessment
from orderctl.store import rows
from orderctl.store.impact import OPEN_PAIRS, ask_standing, impact_of, impact_parts
from orderctl.store.reading import PLANNED, Part, read_choice
from orderctl.store.sql import Connection

HEAD = 20
_SHOWN_UNKNOWN = 20
_PARTS = (
    Part(
        "groups",
        "refusal, currency, season, orders, total, above_zero",
        "SELECT refusal, currency, season, orders, total, above_zero FROM grouped",
    ),
    Part("head", "id", f"SELECT id FROM {PLANNED} ORDER BY ordered_at DESC, id DESC LIMIT :head"),
    Part(
        "mails",
        "unknown, silent, language, buyers, orders",
        "SELECT id IS NULL AS unknown, email IS NULL AS silent, coalesce(language, '') AS language,"
        " count(*) AS buyers, sum(orders) AS orders FROM told GROUP BY 1, 2, 3 ORDER BY 3",
    ),
)


def assess(
    connection: Connection, choice: Choice, mode: Mode, *, notify: bool, per_order: bool, changed_since: datetime
) -> Assessment:
    """Assess a choice on one snapshot, reading each order once; nothing is changed."""
    pack = connection.dialect.json_object
    standing = ask_standing(connection, choice)
    read = read_choice(
        connection,
        choice,
        mode,
        (*_PARTS, *impact_parts(mode)),
        objects={
            "targets": f"{pack('id', 'version')} FROM (SELECT id, version FROM {PLANNED} ORDER BY id) AS target",
            "refused": f"{pack('id', 'refusal')} FROM"
            " (SELECT id, refusal FROM hit WHERE refusal IS NOT NULL ORDER BY id) AS refused_order",
        },
        also=OPEN_PAIRS,
        params={"changed_since": connection.dialect.instant(changed_since), "head": HEAD},
    )
    groups = read.rows("groups")
    eligible = [group for group in groups if group[0] is None]
    targets = Targets(read.packed["targets"], sum(group[3] for group in eligible))
    skipped = _skipped(json.loads(read.packed["refused"]))
    buyers, mail = _mails(read.rows("mails"), notify=notify, per_order=per_order)
    return Assessment(
        given=_given(connection, choice, targets, skipped),
        targets=targets,
        skipped=skipped,
        totals=add_up(Money(group[1], group[4]) for group in eligible),
        before_credits=add_up(Money(group[1], group[5]) for group in eligible),
        buyers=buyers,
        head=_head(connection, [order_id for (order_id,) in read.rows("head")]),
        mail=mail,
        impact=impact_of(read, standing()),
    )


def _skipped(refused: dict[str, str]) -> tuple[Skipped, ...]:
    by_code: dict[str, list[str]] = {}
    for order_id, code in refused.items():
        by_code.setdefault(code, []).append(order_id)
    return tuple(Skipped(code, len(ids), json.dumps(ids)) for code, ids in sorted(by_code.items()))


def _given(connection: Connection, choice: Choice, targets: Targets, skipped: tuple[Skipped, ...]) -> Given:
    scope = choice.scope
    found = targets.count + sum(same.count for same in skipped)
    if isinstance(scope, IdScope):
        taken_out = set(choice.excluded.ids)
        unknown = [each for each in scope.given.ids if each not in taken_out] if taken_out else list(scope.given.ids)
        if len(unknown) == found:
            unknown = []
        else:
            known = {*targets, *(order_id for same in skipped for order_id in same)}
            unknown = [each for each in unknown if each not in known]
        return Given(
            ids=len(scope.given.ids),
            duplicates=scope.given.duplicates,
            unknown=tuple(unknown[:_SHOWN_UNKNOWN]),
            unknown_count=len(unknown),
        )
    if isinstance(scope, SelectionScope):
        row = connection.execute(
            "SELECT count(*) FROM selection_item"
            " WHERE account = :account AND actor = :selected_by AND name = :selection",
            {"selected_by": scope.actor, "selection": scope.name},
        ).fetchone()
        return Given(ids=row[0] if row else 0)
    return Given(ids=found)


def _head(connection: Connection, ids: list[str]) -> tuple[OrderSummary, ...]:
    """The newest of the orders, by their ids in that order."""
    # Looked up by their ids and sorted here: asked for in that order, SQLite walks the index of the days.
    sql = rows.summaries_sql(f"id IN ({connection.dialect.ids('ids')})", "id")
    found = map(rows.summary, connection.execute(sql, {"ids": connection.dialect.bind_ids(ids)}))
    return tuple(sorted(found, key=lambda order: ids.index(order.id)))


def _mails(found: list[list[Any]], *, notify: bool, per_order: bool) -> tuple[int, MailPlan]:
    """How many buyers are hit, and the mails that would tell them."""
    known = [row for row in found if not row[0]]
    reachable = [row for row in known if not row[1]]
    buyers = sum(row[3] for row in known)
    nobody = sum(int(row[4]) for row in found if row[0])
    if not notify:
        return buyers, MailPlan(notify=False, orders_without_buyer=nobody)
    languages = tuple((row[2], int(row[4]) if per_order else row[3]) for row in reachable)
    return buyers, MailPlan(
        notify=True,
        per_order=per_order,
        mails=sum(number for _, number in languages),
        buyers_without_address=sum(row[3] for row in known if row[1]),
        orders_without_buyer=nobody,
        languages=languages,
    )
