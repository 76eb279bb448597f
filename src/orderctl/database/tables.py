"""The schema as SQLModel tables (design.md, section 5b). A test compares the migrations with it.

Statements at run time are SQL text and do not use these classes: see `docs/decisions/0001-sql-text-at-run-time.md`.
"""

from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    TextClause,
    text,
)
from sqlmodel import Field, SQLModel

from orderctl.database.guards.conditions import SINGLY_REJECTED

SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
}
metadata = SQLModel.metadata
# Byte order, so that both engines sort alike and prefixes can use an index.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite has no types for time. Fixed-width ISO 8601 text sorts by time.
INSTANT = Text().with_variant(DateTime(timezone=True), "postgresql")
DAY = Text().with_variant(Date(), "postgresql")
# The codes of enumerations that this room may not import. A test compares them.
STATUSES = ("needs-oc", "oc-created", "oc-approved", "oc-declined", "oc-confirmed", "returned-to-cart", "rejected")
MODES = ("bulk", "individual")
DELIVERY_STATES = (
    *("held", "waiting", "claimed", "sending", "sent", "refused", "retry", "unknown", "cancelled", "bounced"),
)
VERDICTS = ("skipped", "unknown", "taken-out", "changed")
MEMBER_ACTIONS = ("add", "remove")
PLAN_STATES = ("saved", "approved", "held", "executed", "cancelled")
OPEN = text("status NOT IN ('returned-to-cart', 'rejected')")
CONFIRMED = text("status = 'oc-confirmed'")
SINGLY = text(f"from_status IN ({SINGLY_REJECTED})")


def _column(kind: Any = TEXT, default: str | None = None, *, key: bool = False, nullable: bool = False) -> Any:  # noqa: ANN401
    """A column; `default` is that of the database."""
    more: dict[str, object] = {} if default is None else {"server_default": default}
    if key and kind is Integer:
        more["autoincrement"] = False
    return Field(sa_type=kind, primary_key=key, nullable=nullable, sa_column_kwargs=more)


_key = partial(_column, key=True)
_text = partial(_column, default="")
_optional = partial(_column, nullable=True)
_instant = partial(_column, INSTANT)
_count = partial(_column, Integer, "0")
_big = partial(_column, BigInteger)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _readable(column: str) -> tuple[CheckConstraint, ...]:
    """That an instant can be read. A check is quicker than the triggers that do it for older tables."""
    whole = f"substr({column}, 1, 19)"
    on_sqlite = (
        f"typeof({column}) = 'text' AND length({column}) = 27 AND {column} BETWEEN '0001-01-02' AND '9999-12-30'"
        f" AND strftime('%Y-%m-%dT%H:%M:%S', {whole}, '+0 days') IS {whole}"
        f" AND {column} GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'"
    )
    on_postgresql = f"{column} BETWEEN '0001-01-02' AND '9999-12-30'"
    return (
        CheckConstraint(on_sqlite, name=column).ddl_if(dialect="sqlite"),
        CheckConstraint(on_postgresql, name=column).ddl_if(dialect="postgresql"),
    )


def _partial(name: str, *columns: str, where: TextClause) -> Index:
    """An index over some rows of each account."""
    return Index(name, "account", *columns, sqlite_where=where, postgresql_where=where)


def _of_order() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["account", "order_id"], ["orders.account", "orders.id"])


class _OfAccount(SQLModel):
    """A row of an account, whose name is the first part of each key."""

    account: str = _key()


class _Link(_OfAccount):
    """A row of a chain: `digest` covers it and `previous`, the digest of the row before. Append-only."""

    position: int = _key(Integer)
    at: datetime = _instant()
    actor: str = _text()
    previous: str = _text()
    digest: str = _text()


class _Delivery(_OfAccount):
    """Something that is on its way to somebody outside."""

    id: str = _key()
    batch_id: str = _text()
    state: str = _column()
    attempts: int = _count()
    next_attempt_at: datetime = _instant()
    lease_until: datetime | None = _optional(INSTANT)
    token: str | None = _optional()
    last_error: str = _text()
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class BuyerRow(_OfAccount, table=True):
    """A shop that orders."""

    __tablename__ = "buyer"

    id: str = _key()
    name: str = _text()
    name_folded: str = _text()
    email: str | None = _optional()
    contact: str | None = _optional()
    country: str | None = _optional()
    language: str | None = _optional()
    cc: str | None = _optional()
    bcc: str | None = _optional()


class OrderRow(_OfAccount, table=True):
    """One purchase order. `total` is in minor units of `currency`; `lines_digest` covers both and its lines.

    `gone_at`: since when its source has it no longer.
    """

    __tablename__ = "orders"

    id: str = _key()
    buyer_id: str | None = _optional()
    brand: str = _text()
    status: str = _column()
    reference: str = _text()
    season: str = _text()
    ordered_at: datetime = _instant()
    terms: str = _text()
    delivery_address: str = _text()
    billing_address: str = _text()
    country: str | None = _optional()
    delivery_from: date | None = _optional(DAY)
    delivery_to: date | None = _optional(DAY)
    currency: str = _column()
    total: int = _big()
    quantity: int = _big()
    delivery_notes: int = _count()
    invoices: int = _count()
    backlog_skus: int = _count()
    note: str = _text()
    folded: str = _text()
    fingerprint: str = _text()
    archived_at: datetime | None = _optional(INSTANT)
    rejected_at: datetime | None = _optional(INSTANT)
    changed_at: datetime | None = _optional(INSTANT)
    batch_id: str | None = _optional()
    version: int = _column(Integer, "1")
    lines_digest: str = _text()
    gone_at: datetime | None = _optional(INSTANT)

    __table_args__ = (
        ForeignKeyConstraint(["account", "buyer_id"], ["buyer.account", "buyer.id"]),
        _one_of("status", STATUSES),
        CheckConstraint("length(currency) = 3", name="currency"),
        CheckConstraint("(status = 'rejected') = (rejected_at IS NOT NULL)", name="rejected_at"),
        Index(None, "account", "ordered_at", "id"),
        Index(None, "account", "status", "ordered_at", "id"),
        Index(None, "account", "buyer_id", "ordered_at"),
        # Tells how many orders of a season are open, and their value, from the index alone. By day, because orders that
        # are rejected together are mostly of the same days: SQLite then changes few pages of it.
        _partial("ix_orders_open", "season", "currency", "ordered_at", "total", where=OPEN),
        # Tells which buyers have a confirmed order in a season. A bulk rejection changes none of these.
        _partial("ix_orders_confirmed", "season", "buyer_id", where=CONFIRMED),
        _partial("ix_orders_account_batch_id", "batch_id", where=text("batch_id IS NOT NULL")),
    )


class OrderLineRow(_OfAccount, table=True):
    """One line of an order; `unit_price` in minor units of the order's currency.

    `quantity` counts parts of a piece: with a `quantity_decimals` of 2, hundredths.
    """

    __tablename__ = "order_line"

    order_id: str = _key()
    number: int = _key(Integer)
    sku: str = _text()
    name: str = _text()
    color: str = _text()
    size: str = _text()
    quantity: int = _big()
    unit_price: int = _big()
    quantity_decimals: int = _column(SmallInteger, "0")

    __table_args__ = (
        _of_order(),
        Index(None, "account", "sku"),
        # 0 to 3, and a whole number on SQLite too; IN would add a tenth to the time of each insert.
        CheckConstraint("(quantity_decimals & 3) = quantity_decimals", name="quantity_decimals"),
    )


class OrderSourceRow(_OfAccount, table=True):
    """What the source of an order last said of it, and when; NULL is what it does not say.

    `import_id` is the import that wrote the row: a complete one tells by it which orders the source has no longer.
    """

    __tablename__ = "order_source"

    order_id: str = _key()
    source: str = _text()
    seen_at: datetime = _instant()
    status: str | None = _optional()
    delivery_notes: int | None = _optional(Integer)
    invoices: int | None = _optional(Integer)
    import_id: str = _text()

    # No foreign key: it would look up the order of each row of an import. `store check` finds rows without an order.
    __table_args__ = (_one_of("status", STATUSES), *_readable("seen_at"), {"sqlite_with_rowid": False})


class OrderTagRow(_OfAccount, table=True):
    """One tag of an order."""

    __tablename__ = "order_tag"

    order_id: str = _key()
    tag: str = _key()

    __table_args__ = (_of_order(), Index(None, "account", "tag", "order_id"), {"sqlite_with_rowid": False})


class SelectionItemRow(_OfAccount, table=True):
    """One order of an operator's named selection, and how it came in; `line` is that of its file, or 0."""

    __tablename__ = "selection_item"

    actor: str = _key()
    name: str = _key()
    order_id: str = _key()
    origin: str = _text()
    added_at: datetime = _instant()
    line: int = _count()

    __table_args__ = (_of_order(), {"sqlite_with_rowid": False})


class SavedFilterRow(_OfAccount, table=True):
    """A filter with a name, as written."""

    __tablename__ = "saved_filter"

    name: str = _key()
    expression: str = _text()
    actor: str = _text()
    saved_at: datetime = _instant()


class StoreIdentityRow(SQLModel, table=True):
    """The id of the store, in one row: made with it, and the same in all of its copies and accounts."""

    __tablename__ = "store_identity"

    id: str = _key()

    __table_args__ = ({"sqlite_with_rowid": False},)


class BatchRow(_OfAccount, table=True):
    """One executed rejection. `position` and `previous` chain the batches of an account.

    `actor_login` is the login of the actor, empty on SQLite. `events_digest` covers the events, and `digest` covers it;
    batches of before 0021 have none. `mails_digest` covers the mails in the same way, and `mail_leaves` are short
    digests of them. For a call with a key of its own, `request_digest` covers what it asked for, and `request_plan` is
    the plan that ran. `salt` is digested with the texts that may be erased, and erased with them; `texts_digest` is
    that digest then.
    """

    __tablename__ = "batch"

    id: str = _key()
    position: int = _big()
    at: datetime = _instant()
    actor: str = _text()
    actor_login: str = _text()
    approver: str = _text()
    host: str = _text()
    program: str = _text()
    mode: str = _column()
    source: str = _text()
    reason: str = _text()
    reason_code: str = _text()
    message: str = _text()
    mail_per_order: int = _count()
    planned: int = _count()
    rejected: int = _count()
    skipped: int = _count()
    mails: int = _count()
    digest: str = _text()
    leaves: str = _text()
    previous: str = _text()
    events_digest: str = _text()
    request_key: str | None = _optional()
    request_digest: str = _text()
    request_plan: str = _text()
    salt: str = _text()
    texts_digest: str = _text()
    mails_digest: str = _text()
    mail_leaves: str = _text()

    __table_args__ = (
        _one_of("mode", MODES),
        Index(None, "account", "position", unique=True),
        Index(None, "account", "request_key", unique=True),
    )


class BatchBegunRow(_OfAccount, table=True):
    """A batch whose orders are rejected in this transaction; PostgreSQL refuses to commit without the batch itself.

    `events` counts the events that were written for it.
    """

    __tablename__ = "batch_begun"

    id: str = _key()
    events: int = _count()

    __table_args__ = (
        ForeignKeyConstraint(["account", "id"], ["batch.account", "batch.id"], deferrable=True, initially="DEFERRED"),
        {"sqlite_with_rowid": False},
    )


class PolicyRow(_Link, table=True):
    """What the batches of an account may be, from `at` until the next row. Append-only.

    `rules` is JSON text. `digest` covers the row and `previous`, the digest of the row before.
    """

    __tablename__ = "policy"

    actor_login: str = _text()
    rules: str = _text()

    __table_args__ = ({"sqlite_with_rowid": False},)


class MemberRow(_OfAccount, table=True):
    """What the owner did with a login's membership of an account; the newest row of a login counts. Append-only.

    Unused on SQLite, which has no logins.
    """

    __tablename__ = "member"

    login: str = _key()
    number: int = _key(Integer)
    action: str = _column()
    at: datetime = _instant()
    actor: str = _text()
    actor_login: str = _text()

    __table_args__ = (_one_of("action", MEMBER_ACTIONS), {"sqlite_with_rowid": False})


class ActRow(_Link, table=True):
    """What an operator did besides rejecting, in one row. Append-only; `position` and `previous` chain the acts.

    `content` is a digest of the `number` rows of other tables that tell it, which `subject` finds.
    """

    __tablename__ = "act"

    login: str = _text()
    kind: str = _column()
    subject: str = _text()
    detail: str = _text()
    salt: str = _text()
    detail_digest: str = _text()
    number: int = _count()
    content: str = _text()

    __table_args__ = (*_readable("at"), {"sqlite_with_rowid": False})


class ErasureRow(_Link, table=True):
    """That the personal data of a buyer was erased. Append-only.

    `batches` is JSON text: for each batch whose texts were erased too, the digest over what stays of it. `digest`
    covers the row and `previous`, the digest of the row before.
    """

    __tablename__ = "erasure"

    actor_login: str = _text()
    buyer_id: str = _text()
    orders: int = _count()
    mails: int = _count()
    plans: int = _count()
    batches: str = _text()

    __table_args__ = (Index(None, "account", "buyer_id", unique=True), {"sqlite_with_rowid": False})


class OrderEventRow(_OfAccount, table=True):
    """One line of an order's log. Append-only. `lines_digest` is that of the order when it was rejected.

    PostgreSQL itself sets `actor_login`, to the login that writes the line.
    """

    __tablename__ = "order_event"

    order_id: str = _key()
    id: str = _key()
    batch_id: str | None = _optional()
    kind: str = _text()
    from_status: str | None = _optional()
    to_status: str | None = _optional()
    detail: str = _text()
    reason_code: str = _text()
    actor: str = _text()
    actor_login: str = _text()
    at: datetime = _instant()
    lines_digest: str = _text()

    __table_args__ = (
        # Tells whether a batch has an order that cannot be rejected in bulk.
        _partial("ix_order_event_singly", "batch_id", where=SINGLY),
        {"sqlite_with_rowid": False},
    )


class BatchVerdictRow(_OfAccount, table=True):
    """Why a batch did not reject an order that it was asked about. Append-only, and complete once the batch is there.

    `code` is that of the rule for a skipped order, and of what changed for a changed one. The rejected orders are those
    with the `batch_id`.
    """

    __tablename__ = "batch_verdict"

    batch_id: str = _key()
    order_id: str = _key()
    verdict: str = _column()
    code: str = _text()

    __table_args__ = (_one_of("verdict", VERDICTS), {"sqlite_with_rowid": False})


class BatchOriginRow(_OfAccount, table=True):
    """Where the ids of a batch came from, in words, one row a source. Append-only like `batch_verdict`.

    `lines` is a JSON object from id to line (0: the source has no lines); empty for the source of all other ids.
    """

    __tablename__ = "batch_origin"

    batch_id: str = _key()
    number: int = _key(Integer)
    source: str = _text()
    lines: str = _text()

    __table_args__ = ({"sqlite_with_rowid": False},)


class MailRow(_Delivery, table=True):
    """One message to one buyer. Subject, text and HTML are filled when it is composed.

    `salt` is digested with what was queued, for the digest of its batch; an erasure leaves that `digest` instead.
    `sent_digest` is that of the message as it was handed over, and one of that with the letter. A mail without batch
    and buyer is the checkpoint of the log for an auditor.
    """

    __tablename__ = "mail"

    buyer_id: str = _text()
    recipient: str = _text()
    language: str = _text()
    message_id: str = _text()
    subject: str | None = _optional()
    text: str | None = _optional()
    html: str | None = _optional()
    salt: str = _text()
    digest: str = _text()
    sent_digest: str = _text()

    __table_args__ = (
        _one_of("state", DELIVERY_STATES),
        Index(None, "account", "state", "next_attempt_at", "id"),
        Index(None, "account", "batch_id"),
    )


class MailOrderRow(_OfAccount, table=True):
    """One order that a mail is about."""

    __tablename__ = "mail_order"

    mail_id: str = _key()
    order_id: str = _key()
    message: str = _text()

    __table_args__ = (Index(None, "account", "order_id"), {"sqlite_with_rowid": False})


class MailEventRow(_OfAccount, table=True):
    """What an operator did with a mail, or a report said of it. Append-only. `actor_login` as of an `order_event`.

    `from_recipient` and `to_recipient` are empty unless its address changed, which its act covers by a digest with the
    `salt`; an erasure leaves that `digest` instead. `report` names the report of a bounce.
    """

    __tablename__ = "mail_event"

    mail_id: str = _key()
    id: str = _key()
    action: str = _column()
    from_state: str = _column()
    to_state: str = _column()
    reason: str = _text()
    actor: str = _column()
    actor_login: str = _text()
    at: datetime = _instant()
    from_recipient: str = _text()
    to_recipient: str = _text()
    report: str = _text()
    salt: str = _text()
    digest: str = _text()

    __table_args__ = ({"sqlite_with_rowid": False},)


class WritebackRow(_Delivery, table=True):
    """The cancellation that a system is to be given for one rejected order."""

    __tablename__ = "writeback"

    order_id: str = _text()
    system: str = _text()
    system_key: str = _text()

    __table_args__ = (
        _one_of("state", DELIVERY_STATES),
        Index(None, "account", "state", "next_attempt_at"),
        Index(None, "account", "order_id"),
    )


class WritebackEventRow(_OfAccount, table=True):
    """What an operator did with a write-back. Append-only."""

    __tablename__ = "writeback_event"

    writeback_id: str = _key()
    id: str = _key()
    action: str = _column()
    from_state: str = _column()
    to_state: str = _column()
    reason: str = _text()
    actor: str = _column()
    at: datetime = _instant()
    actor_login: str = _text()

    __table_args__ = ({"sqlite_with_rowid": False},)


class PlanRow(_OfAccount, table=True):
    """A saved plan. `digest` covers the row, `plan_digest` the plan in it."""

    __tablename__ = "plan"

    id: str = _key()
    plan: str = _text()
    plan_digest: str = _text()
    made_at: datetime = _instant()
    author: str = _text()
    author_login: str = _text()
    targets: int = _count()
    totals: str = _text()
    reason: str = _text()
    second_operator: int = _count()
    expires_at: datetime = _instant()
    state: str = _column()
    approver: str | None = _optional()
    approver_login: str | None = _optional()
    approved_at: datetime | None = _optional(INSTANT)
    how: str = _text()
    due_at: datetime | None = _optional(INSTANT)
    closed_at: datetime | None = _optional(INSTANT)
    closed_by: str | None = _optional()
    closed_by_login: str | None = _optional()
    digest: str = _text()

    __table_args__ = (_one_of("state", PLAN_STATES), Index(None, "account", "state", "due_at"))


class HeartbeatRow(_OfAccount, table=True):
    """When something that has to run again and again last did, and on which host: `due-plans` looks for due plans."""

    __tablename__ = "heartbeat"

    name: str = _key()
    at: datetime = _instant()
    host: str = _text()

    __table_args__ = (*_readable("at"), {"sqlite_with_rowid": False})


class PlanOrderRow(_OfAccount, table=True):
    """A planned order as it was when the plan was saved, to tell later what changed."""

    __tablename__ = "plan_order"

    plan_id: str = _key()
    order_id: str = _key()
    was_status: str = _text()
    was_currency: str = _text()
    was_total: int = _big()
    was_quantity: int = _big()
    was_delivery_notes: int = _count()
    was_invoices: int = _count()
    was_backlog_skus: int = _count()

    __table_args__ = (
        ForeignKeyConstraint(["account", "plan_id"], ["plan.account", "plan.id"]),
        {"sqlite_with_rowid": False},
    )
