"""Splits a choice of orders by eligibility and adds up what rejecting them means, inside the database."""

import json

from orderctl.domain.eligibility import Mode
from orderctl.domain.money import Money, add_up
from orderctl.domain.orders import OrderSummary
from orderctl.domain.rejection import Given, MailPlan, Skipped, Targets
from orderctl.domain.selection import Choice, FilterScope, IdScope, SelectionScope
from orderctl.ports import Assessment
from orderctl.store import rows
from orderctl.store.eligibility import eligible_sql, refusal_sql
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection, Fragment, Row

HEAD = 20
_SHOWN_UNKNOWN = 20


def assess(connection: Connection, choice: Choice, mode: Mode, *, notify: bool, per_order: bool) -> Assessment:
    """Assess a choice on one snapshot; nothing is changed."""
    chosen = choice_condition(choice, connection.dialect)
    groups = _split(connection, chosen, mode)
    eligible = [group for group in groups if group[0] is None]
    wanted = Fragment(f"{chosen.sql} AND {eligible_sql(mode)}", chosen.params)
    buyers, mail = _mails(connection, wanted, notify=notify, per_order=per_order)
    found = sum(group[2] for group in groups)
    return Assessment(
        given=_given(connection, choice, found),
        targets=Targets(_targets(connection, wanted), sum(group[2] for group in eligible)),
        skipped=_skipped(groups),
        totals=add_up(Money(group[1], group[3]) for group in eligible),
        buyers=buyers,
        head=_head(connection, choice, wanted),
        mail=mail,
    )


def _split(connection: Connection, chosen: Fragment, mode: Mode) -> list[Row]:
    """Rows of refusal code, currency, count, total, and the ids of the refused orders packed as one JSON array."""
    return connection.execute(
        "SELECT refusal, currency, count(*), CAST(sum(total) AS BIGINT),"
        f" {connection.dialect.json_array('id', 'refusal IS NOT NULL')}"
        f" FROM (SELECT id, currency, total, {refusal_sql(mode)} AS refusal FROM orders"
        f" WHERE account = :account AND {chosen.sql}) AS chosen GROUP BY refusal, currency",
        chosen.params,
    ).fetchall()


def _targets(connection: Connection, wanted: Fragment) -> str:
    """The eligible orders packed as one JSON object, id to version, in the order of the ids."""
    row = connection.execute(
        f"SELECT {connection.dialect.json_object('id', 'version')} FROM (SELECT id, version FROM orders"
        f" WHERE account = :account AND {wanted.sql} ORDER BY id) AS target",
        wanted.params,
    ).fetchone()
    return str(row[0]) if row else "{}"


def _skipped(groups: list[Row]) -> tuple[Skipped, ...]:
    packed: dict[str, list[Row]] = {}
    for group in groups:
        if group[0] is not None:
            packed.setdefault(group[0], []).append(group)
    return tuple(
        Skipped(
            code,
            sum(group[2] for group in same),
            json.dumps(sorted(key for group in same for key in json.loads(group[4]))),
        )
        for code, same in sorted(packed.items())
    )


def _given(connection: Connection, choice: Choice, found: int) -> Given:
    scope = choice.scope
    if isinstance(scope, IdScope):
        taken_out = set(choice.excluded.ids)
        unknown = [each for each in _unknown(connection, scope.given.ids) if each not in taken_out]
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


def _unknown(connection: Connection, ids: tuple[str, ...]) -> list[str]:
    given = connection.dialect.ids("given")
    found = connection.execute(
        f"SELECT id FROM orders WHERE account = :account AND id IN ({given})",
        {"given": connection.dialect.bind_ids(ids)},
    )
    known = {order_id for (order_id,) in found}
    return [order_id for order_id in ids if order_id not in known]


def _head(connection: Connection, choice: Choice, wanted: Fragment) -> tuple[OrderSummary, ...]:
    """The newest of the orders."""
    bound = {**wanted.params, "head": HEAD}
    if isinstance(choice.scope, FilterScope):
        sql = rows.summaries_sql(wanted.sql, "-ordered", "LIMIT :head")
        return tuple(map(rows.summary, connection.execute(sql, bound)))
    # Along the index of the days, the orders of a list would be looked for among all orders: look them up first.
    newest = connection.execute(
        f"WITH hit AS MATERIALIZED (SELECT id, ordered_at FROM orders WHERE account = :account AND {wanted.sql})"
        " SELECT id FROM hit ORDER BY ordered_at DESC, id DESC LIMIT :head",
        bound,
    )
    ids = connection.dialect.bind_ids([order_id for (order_id,) in newest])
    sql = rows.summaries_sql(f"id IN ({connection.dialect.ids('ids')})", "id")
    found = map(rows.summary, connection.execute(sql, {"ids": ids}))
    return tuple(sorted(found, key=lambda order: (order.ordered_at, order.id), reverse=True))


def _mails(connection: Connection, wanted: Fragment, *, notify: bool, per_order: bool) -> tuple[int, MailPlan]:
    """How many buyers are hit, and the mails that would tell them."""
    found = connection.execute(
        "SELECT hit.buyer_id IS NULL, buyer.email IS NULL, coalesce(buyer.language, ''), count(*), sum(hit.orders)"
        " FROM (SELECT max(buyer_id) AS buyer_id, count(*) AS orders FROM orders"
        f" WHERE account = :account AND {wanted.sql}"
        # Not by the bare column: SQLite would walk the buyers' index over all orders to have them in order.
        " GROUP BY buyer_id || '') AS hit"
        " LEFT JOIN buyer ON buyer.account = :account AND buyer.id = hit.buyer_id GROUP BY 1, 2, 3 ORDER BY 3",
        wanted.params,
    ).fetchall()
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
