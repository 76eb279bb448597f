"""How Alembic runs our migrations: on the open connection that `store.schema` hands over, in one transaction."""

from alembic import context

from orderctl.store.revisions import VERSION_TABLE
from orderctl.store.tables import metadata

connection = context.config.attributes["connection"]
# SQLite's DDL is transactional too, once the driver does not commit on its own.
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
