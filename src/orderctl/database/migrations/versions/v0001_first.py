"""The first schema: orders and their buyers, selections, saved filters, batches, events, the outbox."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import create_guards

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
DAY = sa.Text().with_variant(sa.Date(), "postgresql")


def upgrade() -> None:
    _create_batch()
    _create_buyer()
    _create_mail()
    _create_mail_order()
    _create_order_event()
    _create_saved_filter()
    _create_orders()
    _create_order_line()
    _create_order_tag()
    _create_selection_item()
    create_guards(op.get_bind().dialect.name, op.execute)


def _create_batch() -> None:
    op.create_table(
        "batch",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", TEXT, server_default="", nullable=False),
        sa.Column("approver", TEXT, server_default="", nullable=False),
        sa.Column("host", TEXT, server_default="", nullable=False),
        sa.Column("program", TEXT, server_default="", nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("source", TEXT, server_default="", nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("message", TEXT, server_default="", nullable=False),
        sa.Column("mail_per_order", sa.Integer(), server_default="0", nullable=False),
        sa.Column("planned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("mails", sa.Integer(), server_default="0", nullable=False),
        sa.Column("digest", TEXT, server_default="", nullable=False),
        sa.Column("leaves", TEXT, server_default="", nullable=False),
        sa.Column("previous", TEXT, server_default="", nullable=False),
        sa.CheckConstraint("mode IN ('bulk', 'individual')", name=op.f("ck_batch_mode")),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_account_position"), "batch", ["account", "position"], unique=True)


def _create_buyer() -> None:
    op.create_table(
        "buyer",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, server_default="", nullable=False),
        sa.Column("name_folded", TEXT, server_default="", nullable=False),
        sa.Column("email", TEXT, nullable=True),
        sa.Column("contact", TEXT, nullable=True),
        sa.Column("country", TEXT, nullable=True),
        sa.Column("language", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_buyer")),
    )


def _create_mail() -> None:
    op.create_table(
        "mail",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, server_default="", nullable=False),
        sa.Column("buyer_id", TEXT, server_default="", nullable=False),
        sa.Column("recipient", TEXT, server_default="", nullable=False),
        sa.Column("language", TEXT, server_default="", nullable=False),
        sa.Column("message_id", TEXT, server_default="", nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", INSTANT, nullable=False),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("text", TEXT, nullable=True),
        sa.Column("html", TEXT, nullable=True),
        sa.Column("last_error", TEXT, server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'claimed', 'sending', 'sent', 'refused', 'retry', 'unknown', 'cancelled')",
            name=op.f("ck_mail_state"),
        ),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_mail")),
    )
    op.create_index(op.f("ix_mail_account_batch_id"), "mail", ["account", "batch_id"], unique=False)
    op.create_index(
        op.f("ix_mail_account_state_next_attempt_at_id"),
        "mail",
        ["account", "state", "next_attempt_at", "id"],
        unique=False,
    )


def _create_mail_order() -> None:
    op.create_table(
        "mail_order",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("mail_id", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("account", "mail_id", "order_id", name=op.f("pk_mail_order")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_mail_order_account_order_id"), "mail_order", ["account", "order_id"], unique=False)


def _create_order_event() -> None:
    op.create_table(
        "order_event",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("kind", TEXT, server_default="", nullable=False),
        sa.Column("from_status", TEXT, nullable=True),
        sa.Column("to_status", TEXT, nullable=True),
        sa.Column("detail", TEXT, server_default="", nullable=False),
        sa.Column("actor", TEXT, server_default="", nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("account", "order_id", "id", name=op.f("pk_order_event")),
        sqlite_with_rowid=False,
    )


def _create_saved_filter() -> None:
    op.create_table(
        "saved_filter",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("expression", TEXT, server_default="", nullable=False),
        sa.Column("actor", TEXT, server_default="", nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_saved_filter")),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("buyer_id", TEXT, nullable=True),
        sa.Column("brand", TEXT, server_default="", nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("reference", TEXT, server_default="", nullable=False),
        sa.Column("season", TEXT, server_default="", nullable=False),
        sa.Column("ordered_at", INSTANT, nullable=False),
        sa.Column("terms", TEXT, server_default="", nullable=False),
        sa.Column("delivery_address", TEXT, server_default="", nullable=False),
        sa.Column("billing_address", TEXT, server_default="", nullable=False),
        sa.Column("country", TEXT, nullable=True),
        sa.Column("delivery_from", DAY, nullable=True),
        sa.Column("delivery_to", DAY, nullable=True),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("delivery_notes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("invoices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("backlog_skus", sa.Integer(), server_default="0", nullable=False),
        sa.Column("note", TEXT, server_default="", nullable=False),
        sa.Column("folded", TEXT, server_default="", nullable=False),
        sa.Column("fingerprint", TEXT, server_default="", nullable=False),
        sa.Column("archived_at", INSTANT, nullable=True),
        sa.Column("rejected_at", INSTANT, nullable=True),
        sa.Column("batch_id", TEXT, nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("(status = 'rejected') = (rejected_at IS NOT NULL)", name=op.f("ck_orders_rejected_at")),
        sa.CheckConstraint(
            "status IN ('needs-oc', 'oc-created', 'oc-approved', 'oc-declined', 'oc-confirmed', 'returned-to-cart', 'rejected')",
            name=op.f("ck_orders_status"),
        ),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_orders_currency")),
        sa.ForeignKeyConstraint(["account", "buyer_id"], ["buyer.account", "buyer.id"], name=op.f("fk_orders_buyer")),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_orders")),
    )
    op.create_index(
        op.f("ix_orders_account_batch_id"),
        "orders",
        ["account", "batch_id"],
        unique=False,
        sqlite_where=sa.text("batch_id IS NOT NULL"),
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_orders_account_buyer_id_ordered_at"),
        "orders",
        ["account", "buyer_id", "ordered_at"],
        unique=False,
    )
    op.create_index(op.f("ix_orders_account_ordered_at_id"), "orders", ["account", "ordered_at", "id"], unique=False)
    op.create_index(
        op.f("ix_orders_account_status_ordered_at_id"),
        "orders",
        ["account", "status", "ordered_at", "id"],
        unique=False,
    )


def _create_order_line() -> None:
    op.create_table(
        "order_line",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", TEXT, server_default="", nullable=False),
        sa.Column("name", TEXT, server_default="", nullable=False),
        sa.Column("color", TEXT, server_default="", nullable=False),
        sa.Column("size", TEXT, server_default="", nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "order_id"], ["orders.account", "orders.id"], name=op.f("fk_order_line_orders")
        ),
        sa.PrimaryKeyConstraint("account", "order_id", "number", name=op.f("pk_order_line")),
    )
    op.create_index(op.f("ix_order_line_account_sku"), "order_line", ["account", "sku"], unique=False)


def _create_order_tag() -> None:
    op.create_table(
        "order_tag",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "order_id"], ["orders.account", "orders.id"], name=op.f("fk_order_tag_orders")
        ),
        sa.PrimaryKeyConstraint("account", "order_id", "tag", name=op.f("pk_order_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_order_tag_account_tag_order_id"), "order_tag", ["account", "tag", "order_id"], unique=False
    )


def _create_selection_item() -> None:
    op.create_table(
        "selection_item",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("origin", TEXT, server_default="", nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "order_id"], ["orders.account", "orders.id"], name=op.f("fk_selection_item_orders")
        ),
        sa.PrimaryKeyConstraint("account", "actor", "name", "order_id", name=op.f("pk_selection_item")),
        sqlite_with_rowid=False,
    )
