"""Saved plans in the store, and the orders of each as they were when it was saved (design.md, section 6, step 4)."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from orderctl.changes import ChangeKind
from orderctl.core.identity import Identity
from orderctl.core.money import Money, format_amount
from orderctl.database.acts import PLAN_ACT, Act, plan_rows, record_act
from orderctl.database.connection import Columns, Connection, Row, readable_instant
from orderctl.language import N_, _
from orderctl.orders.eligibility import STALE, eligible_sql, stale_sql
from orderctl.orders.orders import GONE, SEEN_AGAIN, OrderChange
from orderctl.plans.plans import PlannedOrder, PlanState, SavedPlan
from orderctl.rejection.execute import LEFT_OUT
from orderctl.rejection.plan import LeftOut, RejectionPlan

# A plan that somebody edited has another digest than it should, so what cannot be read may be anything.
_UNREADABLE = datetime.fromtimestamp(0, UTC)
_COLUMNS = Columns(
    "id, made_at, author, author_login, targets, totals, reason, plan_digest, second_operator, expires_at, state,"
    " approver, approver_login, approved_at, how, due_at, closed_at, closed_by, closed_by_login, digest",
    **dict.fromkeys(
        ("made_at", "expires_at", "approved_at", "due_at", "closed_at"),
        lambda value: readable_instant(value) or _UNREADABLE,
    ),
    targets=lambda value: value if isinstance(value, int) else 0,
    second_operator=bool,
    state=PlanState,
)
_ACTORS = ("author", "approver", "closed_by")
_ONE = "account = :account AND id = :id"
# The columns that a step may change.
_STEPS = (
    *("state", "approver", "approver_login", "approved_at", "how", "due_at", "expires_at"),
    *("closed_at", "closed_by", "closed_by_login", "digest"),
)
_APPROVE = "orderctl_approve_plan(:account, :id, :before, :approver, :approved_at, :how, :due_at, :expires_at, :digest)"
_CLOSE = "orderctl_close_plan(:account, :id, :before, :state, :closed_at, :closed_by, :digest)"
_FACTS = "status, currency, total, quantity, delivery_notes, invoices, backlog_skus"
_DONE_BY: dict[str, str] = {
    ChangeKind.ARCHIVED: N_("archived by {actor}"),
    ChangeKind.UNARCHIVED: N_("unarchived by {actor}"),
    ChangeKind.TAGGED: N_("tagged {tag} by {actor}"),
    ChangeKind.UNTAGGED: N_("untagged {tag} by {actor}"),
    GONE: N_("gone from its source by {actor}"),
    SEEN_AGAIN: N_("seen again at its source by {actor}"),
}
_DONE = ", ".join(f"'{kind}'" for kind in _DONE_BY)
_COUNTS = (N_("quantity"), N_("delivery notes"), N_("invoices"), N_("backlog SKUs"))


def insert_plan(connection: Connection, saved: SavedPlan, plan: RejectionPlan) -> None:
    """Save a plan, with the state of each of its orders to compare later."""
    _COLUMNS.insert(connection, "plan", saved, plan=plan.to_json(), **_packed(saved))
    was = ", ".join(f"was_{name.strip()}" for name in _FACTS.split(","))
    connection.execute(
        f"INSERT INTO plan_order (account, plan_id, order_id, {was})"
        f" SELECT o.account, :plan, o.id, {', '.join(f'o.{name.strip()}' for name in _FACTS.split(','))}"
        f" FROM ({connection.dialect.pairs('targets')}) AS target CROSS JOIN orders AS o"
        " WHERE o.account = :account AND o.id = target.key AND o.version = target.value",
        {"plan": plan.id, "targets": plan.targets.packed},
    )


def get_plan(connection: Connection, plan_id: str, *, lock: bool = False) -> SavedPlan | None:
    """One plan; None if there is none. With `lock`, its row is locked until the end of the transaction."""
    if lock and connection.dialect.name != "sqlite":
        # A row that one may not change can be locked by its owner alone.
        connection.execute("SELECT orderctl_lock_plan(:account, :id)", {"id": plan_id})
    row = connection.execute(f"SELECT {_COLUMNS.sql} FROM plan WHERE {_ONE}", {"id": plan_id}).fetchone()
    return _saved(row) if row else None


def plan_text(connection: Connection, plan_id: str) -> str:
    """The plan as JSON text, as it was saved."""
    row = connection.execute(f"SELECT plan FROM plan WHERE {_ONE}", {"id": plan_id}).fetchone()
    return row[0] if row else ""


def find_plans(
    connection: Connection, states: Iterable[PlanState], limit: int | None, *, among: Iterable[str] | None = None
) -> tuple[SavedPlan, ...]:
    """The plans in these states, or those of them with one of these ids, newest first."""
    dialect = connection.dialect
    only = "" if among is None else f" AND id IN ({dialect.ids('ids')})"
    found = connection.execute(
        f"SELECT {_COLUMNS.sql} FROM plan WHERE account = :account AND state IN ({dialect.ids('states')})"
        f"{only} ORDER BY id DESC{'' if limit is None else ' LIMIT :most'}",
        {
            "states": dialect.bind_ids([state.value for state in states]),
            **({} if among is None else {"ids": dialect.bind_ids(sorted(among))}),
            **({} if limit is None else {"most": limit}),
        },
    )
    return tuple(map(_saved, found))


def due_plan_ids(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The ids of the held plans that are due, longest due first."""
    found = connection.execute(
        f"SELECT id FROM plan WHERE account = :account AND state = '{PlanState.HELD}' AND due_at <= :now"
        " ORDER BY due_at, id",
        {"now": connection.dialect.instant(now)},
    )
    return tuple(plan_id for (plan_id,) in found.fetchall())


def note_look(connection: Connection, host: str, now: datetime) -> None:
    """Note that the due plans are looked for now, on this host."""
    connection.execute(
        "INSERT INTO heartbeat (account, name, at, host) VALUES (:account, 'due-plans', :at, :host)"
        " ON CONFLICT (account, name) DO UPDATE SET at = excluded.at, host = excluded.host",
        {"at": connection.dialect.instant(now), "host": host},
    )


def last_look(connection: Connection) -> datetime | None:
    """When the due plans were last looked for; None if they never were."""
    row = connection.execute("SELECT at FROM heartbeat WHERE account = :account AND name = 'due-plans'").fetchone()
    return readable_instant(row[0]) if row else None


def may_run_plans(connection: Connection) -> bool:
    """Whether the connected role may run held plans. SQLite has no roles."""
    if connection.dialect.name == "sqlite":
        return True
    row = connection.execute(
        "SELECT has_table_privilege('batch', 'INSERT') AND has_table_privilege('plan', 'SELECT')"
        " AND has_column_privilege('plan', 'state', 'UPDATE')"
    ).fetchone()
    return bool(row and row[0])


def change_plan(connection: Connection, before: SavedPlan, after: SavedPlan) -> bool:
    """Store a step; False if the row changed since `before` was read.

    On PostgreSQL functions of the owner do it, which set the login and check the time: operators cannot change plans.
    """
    instant = connection.dialect.instant
    changed = {name: getattr(after, name, None) for name in _STEPS} | _packed(after)
    values = {name: instant(each) if isinstance(each, datetime) else each for name, each in changed.items()}
    values |= {"id": after.id, "before": before.digest}
    if connection.dialect.name == "sqlite":
        steps = ", ".join(f"{name} = :{name}" for name in _STEPS)
        return connection.execute(f"UPDATE plan SET {steps} WHERE {_ONE} AND digest = :before", values).rowcount == 1
    row = connection.execute(f"SELECT {_APPROVE if after.closed_at is None else _CLOSE}", values).fetchone()
    return row is not None and row[0] == 1


def record_step(connection: Connection, saved: SavedPlan) -> None:
    """Record the last step of a plan that was just stored as an act, over its row."""
    by = saved.closed_by or saved.approver or saved.author
    act = Act(kind=f"{PLAN_ACT}{saved.state}", subject=saved.id, actor=by.actor, at=saved.last_step)
    record_act(connection, act.told_by(plan_rows(connection, saved.id)))


def rewrite_plan(connection: Connection, saved: SavedPlan, text: str) -> None:
    """Write a closed plan from which texts were erased, with its digests."""
    connection.execute(
        f"UPDATE plan SET plan = :plan, plan_digest = :plan_digest, reason = :reason, digest = :digest WHERE {_ONE}",
        {"plan": text, **{name: getattr(saved, name) for name in ("id", "plan_digest", "reason", "digest")}},
    )


def plan_differences(connection: Connection, plan: RejectionPlan, now: datetime) -> tuple[LeftOut, ...]:
    """The targets that are no longer as planned, and that the plan's own batch did not reject."""
    since = plan.seen_since(now)
    is_stale = "" if since is None else f" OR {stale_sql('o.id')}"
    found = connection.execute(
        "SELECT target.key, target.value, o.version, o.status, o.batch_id, o.currency, o.total, o.quantity,"
        " o.delivery_notes, o.invoices, o.backlog_skus, p.was_status, p.was_currency, p.was_total,"
        " p.was_quantity, p.was_delivery_notes, p.was_invoices, p.was_backlog_skus"
        f" FROM ({connection.dialect.pairs('targets')}) AS target"
        " LEFT JOIN orders AS o ON o.account = :account AND o.id = target.key"
        " LEFT JOIN plan_order AS p ON p.account = :account AND p.plan_id = :plan AND p.order_id = target.key"
        " WHERE o.id IS NULL OR ((o.batch_id IS NULL OR o.batch_id <> :plan)"
        f" AND (o.version <> target.value OR NOT ({eligible_sql(plan.mode)}){is_stale})) ORDER BY target.key",
        {
            "targets": plan.targets.packed,
            "plan": plan.id,
            **({} if since is None else {"seen_since": connection.dialect.instant(since)}),
        },
    ).fetchall()
    done = _done_since(connection, plan, [row[0] for row in found])
    return tuple(LeftOut(**LEFT_OUT.values(row), changes=_changes(row, done.get(row[0], []))) for row in found)


def planned_orders(connection: Connection, plan_id: str, ids: Sequence[str]) -> tuple[PlannedOrder, ...]:
    """These orders of a saved plan as they were when it was saved."""
    found = connection.execute(
        "SELECT order_id, was_status, was_currency, was_total FROM plan_order"
        f" WHERE account = :account AND plan_id = :plan AND order_id IN ({connection.dialect.ids('ids')})",
        {"plan": plan_id, "ids": connection.dialect.bind_ids(ids)},
    )
    known = {row[0]: PlannedOrder(id=row[0], status=row[1], amount=Money(row[2], row[3])) for row in found}
    return tuple(known.get(order_id) or PlannedOrder(id=order_id) for order_id in ids)


def changes_between(connection: Connection, first: RejectionPlan, second: RejectionPlan) -> tuple[LeftOut, ...]:
    """The orders of both saved plans that changed between the two, sorted by id."""
    before, after = first.targets.versions(), second.targets.versions()
    ids = sorted(order_id for order_id, version in before.items() if after.get(order_id, version) != version)
    names = [name.strip() for name in _FACTS.split(",")]
    found = connection.execute(
        f"SELECT b.order_id, {', '.join(f'{side}.was_{name}' for side in 'ba' for name in names)}"
        " FROM plan_order AS a JOIN plan_order AS b ON b.account = :account AND b.plan_id = :second"
        " AND b.order_id = a.order_id WHERE a.account = :account AND a.plan_id = :first"
        f" AND a.order_id IN ({connection.dialect.ids('ids')})",
        {"first": first.id, "second": second.id, "ids": connection.dialect.bind_ids(ids)},
    )
    facts = {row[0]: row[1:] for row in found}
    unknown: Row = (None,) * 2 * len(names)
    return tuple(
        _between(order_id, before[order_id], after[order_id], facts.get(order_id, unknown)) for order_id in ids
    )


def _between(order_id: str, was: int, now: int, facts: Row) -> LeftOut:
    """One order of two plans; `facts` are its later and its earlier ones, or NULLs."""
    half = len(facts) // 2
    differing = [] if facts[0] is None else _differing(facts[half:], facts[:half])
    edited = OrderChange(_("edited: version was {was}, is {now}", was=was, now=now))
    return LeftOut(
        id=order_id,
        planned_version=was,
        version=now,
        status=facts[0] or "",
        batch_id=None,
        changes=tuple(differing or [edited]),
    )


def _done_since(connection: Connection, plan: RejectionPlan, ids: list[str]) -> dict[str, list[OrderChange]]:
    """The archiving and tagging of these orders since the plan was made, and whether they were gone."""
    dialect = connection.dialect
    found = connection.execute(
        "SELECT order_id, kind, detail, actor FROM order_event WHERE account = :account"
        f" AND order_id IN ({dialect.ids('ids')}) AND at >= :made AND kind IN ({_DONE}) ORDER BY order_id, at, id",
        {"ids": dialect.bind_ids(ids), "made": dialect.instant(plan.made_at)},
    )
    done: dict[str, list[OrderChange]] = {}
    for order_id, kind, detail, actor in found:
        done.setdefault(order_id, []).append(OrderChange(_(_DONE_BY[kind], tag=detail, actor=actor)))
    return done


def _packed(saved: SavedPlan) -> dict[str, object]:
    """The columns of a plan that hold something else than its field."""
    actors = {name: getattr(saved, name) for name in _ACTORS}
    return {
        **{name: who and who.actor for name, who in actors.items()},
        **{f"{name}_login": who and who.login for name, who in actors.items()},
        "totals": json.dumps([(total.currency, total.minor) for total in saved.totals]),
        "second_operator": int(saved.second_operator),
        "state": saved.state.value,
    }


def _changes(row: Row, done: list[OrderChange]) -> tuple[OrderChange, ...]:
    """What is different about one order: fields, actions, or at least that it was edited."""
    now, was = row[3:4] + row[5:11], row[11:]
    if now[0] is None:
        return (OrderChange(_("is gone")),)
    if row[4] is not None:
        return (OrderChange(_("rejected meanwhile by batch {batch}", batch=row[4])),)
    found = [] if was[0] is None else _differing(was, now)
    edited = _("edited: version was {was}, is {now}", was=row[1], now=row[2]) if row[1] != row[2] else _(STALE.reason)
    return tuple([*found, *done] or [OrderChange(edited)])


def _differing(was: Row, now: Row) -> list[OrderChange]:
    """The fields that differ; both rows hold status, currency, total and four counts."""
    pairs = [
        (_("status"), was[0], now[0]),
        (_("total"), f"{format_amount(was[2], was[1])} {was[1]}", f"{format_amount(now[2], now[1])} {now[1]}"),
        *zip(map(_, _COUNTS), was[3:], now[3:], strict=True),
    ]
    return [OrderChange(what, str(before), str(after)) for what, before, after in pairs if before != after]


def _saved(row: Row) -> SavedPlan:
    """Convert a row of `_COLUMNS`."""
    kept = _COLUMNS.values(row)
    for name in _ACTORS:
        actor, login = kept[name], kept.pop(f"{name}_login")
        kept[name] = None if actor is None else Identity(actor=actor, login=login or "")
    return SavedPlan(**kept | {"totals": _totals(kept["totals"])})


def _totals(text: str) -> tuple[Money, ...]:
    try:
        return tuple(Money(currency, minor) for currency, minor in json.loads(text))
    except (ValueError, TypeError):
        return ()
