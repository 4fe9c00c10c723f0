"""Secrets of an environment: set and removed by people, handed to setup and maintenance scripts, told to nobody."""

from collections.abc import Mapping

from pullwright.domain.errors import UsageError
from pullwright.domain.secret import VARIABLE, SecretEntry, check_name, check_value
from pullwright.domain.task import RepositoryRef
from pullwright.flow.platform import Platform


async def set_secret(platform: Platform, repository: RepositoryRef, name: str, value: str) -> SecretEntry:
    """Keep a secret for a repository's setup and maintenance scripts, in place of an older one of that name.

    It holds from the next preparation on, which it causes. Raises `UsageError`, which never tells the value.
    """
    check_name(name)
    await platform.record.save_secret(repository.key, VARIABLE + name, check_value(value))
    return next(entry for entry in await list_secrets(platform, repository) if entry.name == name)


async def list_secrets(platform: Platform, repository: RepositoryRef) -> list[SecretEntry]:
    """The repository's secrets by name; their values cannot be read back."""
    return [
        entry.model_copy(update={"name": entry.name.removeprefix(VARIABLE)})
        for entry in await platform.record.secrets(repository.key)
        if entry.name.startswith(VARIABLE)
    ]


async def remove_secret(platform: Platform, repository: RepositoryRef, name: str) -> None:
    """Forget a secret; environments that were prepared with it are prepared anew. Raises `UsageError`."""
    if not await platform.record.drop_secret(repository.key, VARIABLE + name):
        raise UsageError(f"there is no secret {name[:100]!r}; `pullwright env secret list` shows those that there are")


async def variables_of(platform: Platform, repository: RepositoryRef, names: tuple[str, ...]) -> Mapping[str, str]:
    """What scripts are given: the values of these secrets, those left out that are gone by now."""
    found = {name: await platform.record.secret(repository.key, VARIABLE + name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
