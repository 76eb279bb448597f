"""A digest of an order's lines, covered by the digest of its rejection."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from orderctl.database.connection import Connection
from orderctl.database.guards.statements import OF_0013, renew_guards
from orderctl.database.line_digests import digest_open_orders
from orderctl.database.postgres import PostgresConnection
from orderctl.database.sqlite import SqliteConnection

revision = "0011"
down_revision = "0010"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("orders", sa.Column("lines_digest", TEXT, server_default="", nullable=False))
    op.add_column("order_event", sa.Column("lines_digest", TEXT, server_default="", nullable=False))
    bound = op.get_bind()
    # Open orders alone: what a rejected one was like when it was rejected, nobody can tell any more. Were they left for
    # the next import, an order that no file brings again would be rejected without a digest.
    for account in bound.exec_driver_sql("SELECT DISTINCT account FROM orders").scalars().all():
        digest_open_orders(_of_account(bound, account), quantity_decimals="0")
    renew_guards(bound.dialect.name, op.execute, without=OF_0013)


def _of_account(bound: sa.Connection, account: str) -> Connection:
    """The program's own connection over the one that migrates."""
    raw: Any = bound.connection.driver_connection
    return (SqliteConnection if bound.dialect.name == "sqlite" else PostgresConnection)(raw, account)
