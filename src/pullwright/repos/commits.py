"""Commits made here: identities, dates and parents as they are told, signed if there is a key."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pullwright.domain.commits import AUTHOR, check_person, name_and_mail
from pullwright.domain.errors import ConfigurationError, RepositoryError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import git
from pullwright.repos.address import is_path
from pullwright.repos.bare import BareStore

SIGNED = "refs/pullwright/signed"
GPG = "gpg:"


@dataclass(frozen=True)
class Signing:
    """The key that commits are signed with: an ssh key's file, or `gpg:` and a key's id. It never leaves the host."""

    key: str

    def settings(self) -> dict[str, str]:
        """Configuration for the one git command that signs."""
        if self.key.startswith(GPG):
            return {"gpg.format": "openpgp", "user.signingKey": self.key.removeprefix(GPG), "gpg.program": "gpg"}
        return {"gpg.format": "ssh", "user.signingKey": self.key, "gpg.ssh.program": "ssh-keygen"}

    def variables(self) -> dict[str, str]:
        """What the signing program needs of our own environment: its agent, or its key ring."""
        home = os.environ.get("GNUPGHOME") or str(Path(os.environ.get("HOME", "/nonexistent")) / ".gnupg")
        kept = {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}
        return {**kept, "GNUPGHOME": home} if self.key.startswith(GPG) else kept


@dataclass(frozen=True)
class Hand:
    """Who writes commits, and how: people are written NAME <MAIL>."""

    author: str = AUTHOR
    committer: str | None = None  # None: the author
    signing: Signing | None = None

    def variables(self, when: datetime | None, date: str = "") -> dict[str, str]:
        """The identities and dates as git reads them; `date` is git's raw form, for where `when` is None."""
        moment = f"{int(when.timestamp())} {when.strftime('%z') or '+0000'}" if when else date
        found: dict[str, str] = {}
        for role, person in (("AUTHOR", self.author), ("COMMITTER", self.committer or self.author)):
            name, mail = name_and_mail(person)
            found |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": mail, f"GIT_{role}_DATE": f"@{moment}"}
        return found


async def write_commit(
    store: BareStore,
    tree: str,
    parents: tuple[str, ...],
    message: str,
    hand: Hand,
    when: datetime | None = None,
    *,
    like: str | None = None,
) -> str:
    """A commit of a tree on its parents. Without `when` it has the date of `like`, else of its first parent.

    The same arguments give the same commit, also where the signature would differ each time: which signed commit an
    unsigned one became is kept. Raises `ConfigurationError` where the key cannot sign.
    """
    date = ""
    if when is None:
        date = (await store.run("show", "-s", "--format=%cd", "--date=raw", like or parents[0])).decode().strip()
    variables = hand.variables(when, date)
    words = [word for parent in parents for word in ("-p", parent)]
    text = message.replace("\0", "").encode("utf-8", "backslashreplace")
    call = store.call(variables=variables)
    plain = (await git.git(call, "commit-tree", *words, "-F", "-", tree, stdin=text)).decode().strip()
    if hand.signing is None:
        return plain
    return await _signed(store, plain, ("commit-tree", "-S", *words, "-F", "-", tree), text, variables, hand.signing)


async def person_of(ref: RepositoryRef) -> str | None:
    """Whoever works in a repository, as their own git knows them, NAME <MAIL>; None where it does not.

    For a path it is the repository's owner there; for a URL, the user that this process runs as.
    """
    place = Path(ref.location) if is_path(ref) else Path("/")
    call = git.Call(directory=place, owner=git.owner_of(place) if is_path(ref) else None, personal=True)
    asked = await git.attempt(call, "config", "-z", "--get-regexp", r"^user\.(name|email)$")
    found: dict[str, str] = {}
    for entry in asked.out.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        found[key] = value.strip()
    try:
        return check_person(f"{found.get('user.name', '')} <{found.get('user.email', '')}>")
    except ValueError:
        return None


async def check_signing(store: BareStore, commit: str, signing: Signing) -> None:
    """Raise `ConfigurationError` where the key cannot sign, before any work is done for it."""
    hand = Hand(signing=signing)
    await write_commit(store, await store.tree(commit), (commit,), "Can this key sign?\n", hand)


async def _signed(
    store: BareStore, plain: str, command: tuple[str, ...], text: bytes, variables: dict[str, str], signing: Signing
) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", signing.key).strip("-")[-60:]
    ref = f"{SIGNED}/{name}/{plain}"
    if known := await store.commit_at(ref):
        return known
    call = git.Call(
        directory=store.path,
        git_dir=store.path,
        variables={**variables, **signing.variables()},
        settings=signing.settings(),
        umask=store.umask,
    )
    answer = await git.attempt(call, *command, stdin=text)
    made = answer.out.decode("ascii", "replace").strip()
    if answer.code != 0 or not re.fullmatch(r"[0-9a-f]{40}", made):
        try:
            git.check(answer, command)
        except RepositoryError as error:
            said = "; ".join(line.strip() for line in answer.error.splitlines() if line.strip())
            raise ConfigurationError(
                f"The key {signing.key} cannot sign commits: {said}. Give PULLWRIGHT_SIGNING_KEY the file of an ssh "
                "key without a passphrase (or its .pub, with an agent), or `gpg:` and the id of a key."
            ) from error
    await store.write_ref(ref, made)
    return made
