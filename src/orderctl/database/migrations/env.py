"""How Alembic runs our migrations: on the open connection that `database.schema` hands over, in one transaction."""

from alembic import context

from orderctl.database.store import VERSION_TABLE

connection = context.config.attributes["connection"]
# SQLite's DDL is transactional too, once the driver does not commit on its own.
context.configure(connection=connection, version_table=VERSION_TABLE, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
