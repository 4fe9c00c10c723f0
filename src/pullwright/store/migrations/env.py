"""How Alembic runs the migrations: on the connection that it is given, inside its transaction."""

from alembic import context

from pullwright.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the caller's transaction is around everything, version table included
)
context.run_migrations()
