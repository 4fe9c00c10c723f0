"""What a checkout needs besides the repository's own store, had on this machine before a sandbox starts.

A sandbox has no network: submodules, the files that Git LFS keeps and, of a huge repository, the contents of the files
that are laid out are all fetched here, with credentials that stay here.
"""

from collections.abc import Callable

from pullwright.domain.environment import Environment
from pullwright.domain.task import RepositoryRef
from pullwright.flow.platform import Platform
from pullwright.repos import checkpoints, lfs, submodules
from pullwright.repos.bare import BareStore
from pullwright.repos.checkpoints import Layout
from pullwright.sandbox.base import Bind


async def bring(
    platform: Platform,
    ref: RepositoryRef,
    commit: str,
    environment: Environment,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Environment, list[str]]:
    """The environment with all that its checkout of the commit holds, and what a person should know of it."""
    repositories = platform.repositories
    store = repositories.store(ref)
    await repositories.complete(ref, commit, environment.sparse, say)
    found = await submodules.find(repositories, ref, commit, say, sparse=environment.sparse)
    notices = list(found.notices)
    large = await store.has_lfs(commit)
    if large:
        notices += [f"Git LFS: {text}" for text in await lfs.bring(store, ref, commit, repositories.tokens, say)]
    for module in found.modules:
        inner = repositories.store(module.repository)
        await repositories.complete(module.repository, module.commit, (), say)
        if module.lfs:
            said = await lfs.bring(inner, module.repository, module.commit, repositories.tokens, say)
            notices += [f"Git LFS in {module.path}: {text}" for text in said]
    return environment.model_copy(update={"modules": tuple(found.modules), "lfs": large}), notices


async def layout_of(platform: Platform, ref: RepositoryRef, environment: Environment, commit: str, base: str) -> Layout:
    """What is laid out with a commit or tree, in a machine that was started for this environment at its base."""
    modules = environment.modules
    if modules and commit != base:
        modules = await submodules.pinned(platform.repositories, ref, commit, modules)
    return Layout(sparse=environment.sparse, lfs=environment.lfs, modules=modules)


def binds(platform: Platform, store: BareStore, environment: Environment) -> tuple[Bind, ...]:
    """What a machine of this environment sees of the stores, read-only."""
    shown = {checkpoints.OBJECTS: store.objects}
    if environment.lfs:
        shown[checkpoints.LFS] = lfs.make_place(store)
    for module in environment.modules:
        inner = platform.repositories.store(module.repository)
        place = f"{checkpoints.MODULES}/{module.repository.key}"
        shown[place] = inner.objects
        if module.lfs:
            shown[f"{place}.lfs"] = lfs.make_place(inner)
    return tuple(Bind(source, target) for target, source in shown.items())
