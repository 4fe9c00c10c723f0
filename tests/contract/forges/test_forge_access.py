"""Which forge a repository is on, and what signs in there."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pullwright.domain.errors import ConfigurationError, ForgeRefused
from pullwright.domain.forge import GiteaEntry, GitEntry, GitHubEntry, GitLabEntry
from pullwright.domain.task import RepositoryRef
from pullwright.forge.access import Access, Place, entry_of
from pullwright.repos.mirror import Repositories
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.testing.forges.github import GitHub
from pullwright.wiring import Forges

OURS = GitLabEntry(host="git.company.example:8443", api="https://git.company.example:8443/api/v4")


@pytest.mark.parametrize(
    ("location", "host", "path"),
    [
        ("https://github.com/team/tool.git", "github.com", "team/tool"),
        ("https://user@GitHub.com/team/tool/", "github.com", "team/tool"),
        ("git@github.com:team/tool.git", "github.com", "team/tool"),
        ("ssh://git@git.example:2222/group/sub/tool.git", "git.example:2222", "group/sub/tool"),
        ("http://127.0.0.1:8080/a%20b/tool", "127.0.0.1:8080", "a b/tool"),
    ],
)
def test_a_url_names_a_place(location: str, host: str, path: str) -> None:
    assert Place.of(location) == Place(host, path)
    assert Place.of("/home/me/tool") is None


def test_the_host_decides() -> None:
    def kind(location: str) -> str:
        return entry_of(location, (OURS,)).kind

    assert kind("https://github.com/a/b") == kind("git@github.com:a/b.git") == "github"
    assert kind("https://gitlab.com/a/b/c.git") == "gitlab"
    assert kind("https://codeberg.org/a/b") == "gitea"
    assert kind("https://git.company.example:8443/a/b") == "gitlab"
    assert kind("git@git.company.example:a/b.git") == "gitlab"  # the ssh server has a port of its own
    assert kind("https://git.company.example/a/b") == "git"
    assert kind("https://github.com.evil.example/a/b") == kind("https://evil.example/github.com/a") == "git"
    assert kind("http://github.com/a/b") == "git"  # no token travels in the clear
    mine = GiteaEntry(host="github.com", api="https://github.com/api/v1")
    assert entry_of("https://github.com/a/b", (mine,)) == mine


def test_each_forge_has_its_own_token(tmp_path: Path) -> None:
    env = {"GH_TOKEN": "gh", "GITLAB_TOKEN": "gl", "FORGEJO_TOKEN": "fj", "GH_ENTERPRISE_TOKEN": "ge", "OURS": "o"}
    access = Access(env)
    github = entry_of("https://github.com/a/b", ())
    assert access.fixed(github) == "gh"
    assert Access({**env, "GITHUB_TOKEN": "first"}).fixed(github) == "first"
    assert access.fixed(GitHubEntry(host="ghe.example", api="https://ghe.example/api/v3")) == "ge"
    assert access.fixed(OURS) == "gl"
    assert access.fixed(OURS.model_copy(update={"token_variable": "OURS"})) == "o"
    assert access.fixed(OURS.model_copy(update={"token_variable": "MISSING"})) is None
    assert access.fixed(entry_of("https://codeberg.org/a/b", ())) == "fj"
    assert access.fixed(GitEntry(host="x")) is None
    file = tmp_path / "token"
    kept = OURS.model_copy(update={"token_file": str(file)})
    for content, said in ((None, "cannot be read"), (" \n", "is empty")):
        if content:
            file.write_text(content)
        with pytest.raises(ConfigurationError, match=said):
            access.fixed(kept)
    file.write_text("from a file\n")
    assert access.fixed(kept) == "from a file"


async def test_a_github_app_signs_in(tmp_path: Path, record: Record, description: Any) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    file = tmp_path / "app.pem"
    file.write_bytes(private)
    found: list[str] = []
    async with GitHub(tmp_path / "far", app=("42", public)) as side:
        side.watch = lambda request, reply: found.extend(
            description.faults(
                request.method,
                request.path.removeprefix(side.prefix),
                request.query,
                request.body,
                reply.status if reply else None,
                reply.body if reply else b"",
            )
        )
        await side.git.create("team/tool")
        entry = GitHubEntry(host=f"127.0.0.1:{side.port}", api=side.api, app_id="42", app_key_file=str(file))
        access = Access({})
        forges = Forges(record, Repositories(tmp_path / "repos"), access, (entry,))
        reference = RepositoryRef(location=f"{side.url}/team/tool.git", key="tool-1", name="tool")
        forge = await forges.of(reference)
        assert forge.name == "github"
        assert "may write" in await forge.test()
        assert "may write" in await forge.test()
        assert len(side.minted) == 1  # as long as it lasts
        assert access.seen[entry.host] == side.minted[0]  # git signs in with it, too
        assert found == []
        stranger = entry.model_copy(update={"app_id": "43"})
        with pytest.raises(ForgeRefused, match="does not take the token"):
            await (await Forges(record, Repositories(tmp_path / "r2"), Access({}), (stranger,)).of(reference)).test()
    file.write_text("no key")
    with pytest.raises(ConfigurationError, match="no RSA private key"):
        await Access({}).token(entry, reference)


async def test_without_a_token_a_branch_is_all(record: Record, tmp_path: Path) -> None:
    forges = Forges(record, Repositories(tmp_path / "repos"), Access({}), ())
    reference = RepositoryRef(location="https://github.com/team/tool.git", key="tool-1", name="tool")
    assert (await forges.of(reference)).name == "git"
    assert (
        await Forges(record, Repositories(tmp_path / "r"), Access({"GITHUB_TOKEN": "x"}), ()).of(reference)
    ).name == "github"


async def test_forges_are_remembered(record: Record) -> None:
    await record.save_forge(OURS)
    changed = OURS.model_copy(update={"token_variable": "OURS"})
    await record.save_forge(changed)
    assert await record.forges() == [changed]
    assert await record.remove_forge(OURS.host)
    assert not await record.remove_forge(OURS.host)
    assert await record.forges() == []


def test_forges_from_the_environment() -> None:
    home = {"PULLWRIGHT_HOME": "/x"}
    text = '[{"kind": "gitea", "host": "Git.Example", "api": "https://git.example/api/v1/"}]'
    (entry,) = Settings.from_environment({**home, "PULLWRIGHT_FORGES": text}).forges
    assert entry == GiteaEntry(host="git.example", api="https://git.example/api/v1")
    for wrong in (
        "{",
        '[{"kind": "sourceforge", "host": "x"}]',
        text.replace("https", "ftp"),
        text.replace("Git.", "a/b"),
    ):
        with pytest.raises(ConfigurationError, match="PULLWRIGHT_FORGES"):
            Settings.from_environment({**home, "PULLWRIGHT_FORGES": wrong})


def test_a_request_that_leaves_githubs_description_is_found(description: Any) -> None:
    def faults(method: str, path: str, query: str = "", body: bytes = b"") -> list[str]:
        return description.faults(method, path, query, body, None, b"")  # type: ignore[no-any-return]

    good = b'{"title": "t", "head": "h", "base": "main", "draft": true}'
    assert faults("POST", "/repos/a/b/pulls", body=good) == []
    assert faults("POST", "/repos/a/b/pulls", body=good.replace(b"draft", b"is_draft")) == [
        "body has no field is_draft"
    ]
    assert faults("POST", "/repos/a/b/pulls", body=good.replace(b"true", b'"yes"')) == [
        "body.draft is 'yes', not boolean"
    ]
    assert faults("POST", "/repos/a/b/pulls", body=b'{"title": "t", "head": "h"}') == ["body lacks base"]
    assert faults("GET", "/repos/a/b/pulls", "state=all") == []
    assert faults("GET", "/repos/a/b/pulls", "state=any")[0].startswith("state=any is none of")
    assert faults("GET", "/repos/a/b/pulls", "limit=3") == ["there is no query parameter limit"]
    assert faults("GET", "/repos/a/b/merge_requests") == ["there is no GET /repos/a/b/merge_requests"]
