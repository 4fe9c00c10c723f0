"""Other people's open pull requests as the forge lists them, their heads fetched. What fails there is only told of."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pullwright.domain.errors import PullwrightError, RepositoryError
from pullwright.domain.landing import Candidate
from pullwright.domain.task import RepositoryRef
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.forge.base import Standing
from pullwright.repos import address
from pullwright.repos.conflicts import Pairs
from pullwright.repos.merge import common

FETCHING_SECONDS = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Listed:
    """What a forge has open, ours among it, with the heads in the store."""

    standing: tuple[Standing, ...] = ()
    untold: str = ""  # why it is not all that there is

    def besides(self, numbers: set[int], branches: set[str], commits: set[str]) -> tuple[Standing, ...]:
        """Those that are not ours, by any of what is."""
        return tuple(
            one
            for one in self.standing
            if one.pull_request.number not in numbers
            and not (one.own_repository and one.pull_request.branch in branches)
            and one.pull_request.head not in commits
        )


async def listed(platform: Platform, repository: RepositoryRef) -> Listed:
    """The newest open pull requests of a repository. Never raises what a forge or its answer is the cause of."""
    if address.is_path(repository):
        return Listed()  # on this machine every pull request is ours
    found: list[Standing] = []
    try:
        async with asyncio.timeout(FETCHING_SECONDS):
            forge = await platform.forge(repository)
            found = [one for one in await forge.listed() if _sound(one)]
            heads = {one.pull_request.number: one.pull_request.head for one in found}
            await platform.repositories.fetch_others(repository, heads)
    except TimeoutError:
        return Listed(tuple(found), untold("they did not arrive in time"))
    except PullwrightError as error:
        return Listed(tuple(found), untold(str(error)))
    except (LookupError, TypeError, ValueError, AttributeError):
        return Listed((), untold("the forge's answer is no list of them"))
    return Listed(tuple(found))


async def candidates(
    pairs: Pairs, branches: Mapping[str, str], standing: tuple[Standing, ...]
) -> tuple[dict[str, Candidate], dict[str, tuple[str, ...]]]:
    """Them as changes to merge, by name, and where they conflict with their base branches.

    Those that add nothing, whose branch is not there, or whose commits are not at hand are left out.
    """
    found: dict[str, Candidate] = {}
    with_base: dict[str, tuple[str, ...]] = {}
    for one in standing:
        pull, tip = one.pull_request, branches.get(one.base)
        if tip is None or await pairs.store.commit_at(pull.head) is None:
            continue
        base = await common(pairs.store, tip, pull.head)
        if base is None:
            continue
        try:
            lines = (await pairs.footprint(base, pull.head)).lines
        except RepositoryError:
            continue  # contents of a huge repository's files that were never needed
        adds, conflicts = await pairs.into(tip, pull.head)
        if not adds:
            continue
        name = f"#{pull.number}"
        if conflicts:
            with_base[name] = conflicts
        found[name] = Candidate(
            task=name,
            label=f"{name} by {author}" if (author := _name(one.author)) else name,
            branch=pull.branch,
            base=base,
            commit=pull.head,
            lines=lines,
            ready=not pull.draft,
            created=one.created or now(),
            title=_line(one.title[:300]),
            url=pull.url[:500],
        )
    return found, with_base


def _sound(one: Standing) -> bool:
    """Whether what a forge says of a pull request is of the right kind."""
    texts = all(isinstance(text, str) for text in (one.base, one.author, one.title))
    aware = one.created is None or one.created.tzinfo is not None
    return texts and aware and _COMMIT.fullmatch(one.pull_request.head) is not None


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _name(author: str) -> str:
    """An account's name without what could speak for anything else."""
    return re.sub(r"[^\w.\-\[\]]", "", author)[:60]


def untold(why: str) -> str:
    """What a person is told where others' pull requests were left out."""
    return f"other people's open pull requests were not all looked at for conflicts: {_line(why)}"
