"""Secrets of an environment: set and removed by people, handed to setup and maintenance scripts, told to nobody."""

from collections.abc import Mapping

from pullwright.domain.change import Change
from pullwright.domain.errors import DataDirectoryError, RepositoryError, UsageError
from pullwright.domain.secret import VARIABLE, SecretEntry, check_name, check_value
from pullwright.domain.task import RepositoryRef
from pullwright.flow.platform import Platform
from pullwright.repos.export import exported


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
    """What scripts are given: the values of these secrets, those left out that are gone by now.

    Raises `UsageError` where one cannot be opened any more.
    """
    try:
        found = {name: await platform.record.secret(repository.key, VARIABLE + name) for name in names}
    except DataDirectoryError as error:
        raise UsageError(str(error)) from error
    return {name: value for name, value in found.items() if value is not None}


async def refuse_secrets(platform: Platform, repository: RepositoryRef, change: Change, *, series: bool) -> None:
    """Raise `RepositoryError` where a change would carry a secret out; `series`: its commits are delivered one by one.

    No agent is given one, but what a script hid from us, compressed for example, an agent may have found.
    """
    redactor = await platform.record.redactor(repository.key)
    if not redactor or change.empty:
        return
    store = platform.repositories.store(repository)
    data = await exported(store, change.base, change.head, "", "mbox" if series else "patch")
    names, places = set(), set()
    for section in data.split(b"\ndiff --git "):
        kept = b"\n".join(line.removeprefix(b"+") for line in section.split(b"\n") if line[:1] not in (b" ", b"-"))
        if found := redactor.found(kept):
            names |= found
            places.add(redactor.text(section.split(b"\n", 1)[0].rpartition(b" b/")[2].decode("utf-8", "replace")))
    if names:
        raise RepositoryError(
            f"the change holds the secret {', '.join(sorted(names))} in {', '.join(sorted(places)[:5])}; it is not "
            "delivered. Set another value with `pullwright env secret set`, since this one is in an agent's hands"
        )
