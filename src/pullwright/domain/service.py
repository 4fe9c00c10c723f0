"""Services that an environment's tests need, such as a database: what is known of them by name."""

import re

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value

DATA = "PULLWRIGHT_SERVICE_DATA"
"""The variable in which a service's commands find a directory of its own, kept with what setup wrote."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,22}[a-z0-9])?")


class Service(Value):
    """A program that runs in the background of every machine of an environment, reachable on its loopback."""

    name: str
    command: str = Field(min_length=1, description="For bash; it stays in the foreground.")
    ready: str | None = Field(None, description="For bash: succeeds once it can be used; None: as soon as it runs.")
    prepare: str | None = Field(None, description="For bash: what setup does once, so that no start has to.")
    variables: dict[str, str] = Field(default_factory=dict, description="What programs find it by.")
    setup: bool = Field(False, description="Whether it runs beside setup and maintenance scripts, too.")
    seconds: float = Field(60.0, gt=0, le=600, description="How long it may take to become ready.")
    stop: str = Field("TERM", pattern="^[A-Z]+$", description="The signal that ends it in good order.")
    package: str | None = Field(None, description="The Debian package that it comes from.")


# The programs of Debian's packages of Postgres are not on PATH; what is there are wrappers for clusters of the host's.
_PG = 'PATH="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH"'
_PG_DATA = f'"${DATA}"'
_PG_PREPARE = (
    f"{_PG}; test -s {_PG_DATA}/PG_VERSION || initdb -D {_PG_DATA} -U postgres -A trust -E UTF8 --locale=C.UTF-8 "
    "--no-sync --no-instructions"
)
# Nothing outlives the machine, so that nothing need be safe on the disk. A lock that setup's server left is void.
_PG_OPTIONS = (
    "-k /tmp -c listen_addresses=127.0.0.1 -c port=5432 -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c shared_buffers=32MB -c autovacuum_naptime=10min"
)

KNOWN = {
    "postgres": Service(
        name="postgres",
        command=f"{_PG_PREPARE} && rm -f {_PG_DATA}/postmaster.pid && exec postgres -D {_PG_DATA} {_PG_OPTIONS}",
        ready=f"{_PG}; pg_isready -q -h 127.0.0.1 -p 5432",
        prepare=_PG_PREPARE,
        variables={
            "PGHOST": "127.0.0.1",
            "PGPORT": "5432",
            "PGUSER": "postgres",
            "PGPASSWORD": "postgres",
            "PGDATABASE": "postgres",
            "DATABASE_URL": "postgresql://postgres:postgres@127.0.0.1:5432/postgres",
        },
        stop="INT",
        package="postgresql",
    ),
    "redis": Service(
        name="redis",
        command="exec redis-server --bind 127.0.0.1 --port 6379 --protected-mode no --save '' --appendonly yes "
        f'--appendfsync no --dir "${DATA}"',
        ready="redis-cli -h 127.0.0.1 -p 6379 ping | grep -q PONG",
        variables={"REDIS_URL": "redis://127.0.0.1:6379/0", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "6379"},
        package="redis-server",
    ),
}
_SAME = {"postgresql": "postgres"}


def service_name(name: str) -> str:
    """The name of a service, checked. Raises `UsageError`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a service: use 1 to 24 small letters, digits, `-` and `_` between them."
        )
    return _SAME.get(name, name)
