"""The files of a stack come from a repository as they are; nothing that a repository says has an effect here."""

import asyncio
import errno
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import ANY

import pytest
from pydantic import ValidationError

from roas.configuration.tables import GitSettings
from roas.errors import ComposeFileError, RepositoryError, RepositoryUnavailableError, RoasError
from roas.models.environment import Environment, Repository
from roas.stack.resolution import commit_files, mirror
from roas.stack.resolution import repository as module
from roas.stack.resolution.git_program import GitProgram
from roas.stack.resolution.mirror import Mirror
from roas.stack.resolution.repository import Repositories
from roas.web_client import WebClient
from testbed.debian_packages import unpacked
from testbed.git_server import GitServer, git_server
from testbed.ssh_server import make_key, repository_server
from tests.integration.packages import packages_or_skip

COMPOSE = "services: {web: {image: nginx}}\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    async with git_server(tmp_path / "server") as server:
        yield server


class Scene:
    """Bring what a server has into the folder of one environment."""

    def __init__(self, folder: Path, server: GitServer) -> None:
        self.server, self.state, self.folder = server, folder / "state", folder / "stack"
        self.secrets: list[str] = []
        self.client = WebClient()
        self.repositories = Repositories(self.state, self.secrets.extend, self.client)
        self.repository = Repository(server.url)
        self.withheld: frozenset[Path] = frozenset()

    @property
    def mirror(self) -> Mirror:
        return self.repositories.mirror(self.repository)

    async def bring(self) -> str:
        environment = Environment(
            "dev", "shop-dev", self.folder, (), repository=self.repository, withheld=self.withheld
        )
        async with self.repositories.hold(environment) as commit:
            return commit

    @property
    def files(self) -> dict[str, str]:
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file() or path.is_symlink())
        return {str(path.relative_to(self.folder)): path.read_text() for path in found}


@pytest.fixture
async def scene(tmp_path: Path, server: GitServer) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path, server)
    yield scene
    await scene.client.close()


async def test_folder_follows_the_ref_and_keeps_what_is_not_of_the_repository(scene, server):
    server.commit({"compose.yaml": COMPOSE, "conf/a.conf": "one", "conf/b.conf": "two", "run.sh": "#!/bin/sh\n"})
    (server.work / "run.sh").chmod(0o755)
    (server.work / "link").symlink_to("conf/a.conf")
    first = server.commit({})
    assert await scene.mirror.head() == first
    assert await scene.bring() == first
    assert scene.files["link"] == "one"
    assert os.access(scene.folder / "run.sh", os.X_OK)
    (scene.folder / "data").mkdir()
    (scene.folder / "data" / "kept").write_text("mine")
    (scene.folder / "conf" / "a.conf").write_text("changed by hand")
    second = server.commit({"conf/b.conf": None, "link": None, "conf/a.conf": "three", "compose.yaml": COMPOSE * 2})
    assert await scene.bring() == second
    assert scene.files == {
        "compose.yaml": COMPOSE * 2,
        "conf/a.conf": "three",
        "data/kept": "mine",
        "run.sh": "#!/bin/sh\n",
    }
    assert [commit.title for commit in await scene.mirror.commits(first, second)] == ["Change it"]
    assert (await scene.mirror.commits("", second))[0].author == "Ada"


async def test_path_is_a_folder_of_the_repository_and_ref_a_tag(scene, server):
    tagged = server.commit({"deploy/compose.yaml": COMPOSE, "README": "not the stack's"})
    server.git("tag", "-a", "v1", "-m", "one")
    server.git("push", "-q", str(server.bare), "v1")
    server.commit({"deploy/compose.yaml": ""})
    scene.repository = Repository(server.url, "v1", "deploy")
    assert await scene.mirror.head() == tagged
    assert await scene.bring() == tagged
    assert scene.files == {"compose.yaml": COMPOSE}
    scene.repository = Repository(server.url, "main", "elsewhere")
    with pytest.raises(RoasError):
        await scene.bring()


async def test_forced_push_is_known(scene, server):
    first = server.commit({"compose.yaml": COMPOSE})
    second = server.commit({"compose.yaml": COMPOSE * 2})
    await scene.bring()
    assert not await scene.mirror.is_forced(first, second)
    server.git("reset", "-q", "--hard", first)
    third = server.commit({"other": "history"})
    await scene.bring()
    assert await scene.mirror.is_forced(second, third)
    assert await scene.mirror.is_forced("d" * 40, third)
    assert "other" in scene.files


async def test_nothing_of_the_repository_runs_or_rewrites(scene, server, tmp_path):
    """Filters, export-subst, end of lines and hooks are what a checkout or an archive would obey."""
    ran = tmp_path / "ran"
    attributes = "*.conf export-subst filter=evil text eol=crlf ident\nhidden export-ignore\n"
    files = {"a.conf": "$Format:%H$ $Id$\n", "hidden": "shown", ".gitattributes": attributes}
    server.commit(files)
    server.git("config", "filter.evil.smudge", f"touch {ran}")
    server.push()
    await scene.bring()
    assert scene.files == files
    assert not ran.exists()
    assert not list((scene.state / "git").rglob("hooks/*"))


def tree(*entries: tuple[str, str, str]) -> bytes:
    return b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(blob) for mode, name, blob in entries)


@pytest.mark.parametrize("name", [".git", "..", ".GIT", "a/b"])
async def test_tree_that_would_write_elsewhere_is_refused(scene, server, name):
    blob = server.git("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n")
    made = server.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=tree(("100644", name, blob)))
    commit = server.git("commit-tree", made, "-m", "Attack")
    server.git("push", "-q", "--force", str(server.bare), f"{commit}:refs/heads/main")
    with pytest.raises((RepositoryError, ComposeFileError)) as caught:
        await scene.bring()
    assert not caught.value.transient
    assert not scene.folder.exists()


LINKS_OUT = [
    {"link": "/etc/passwd"},
    {"link": "../outside"},
    {"link": "conf/../../outside"},
    {"sub/deep/l": "../..", "link": "sub/deep/l/../../../etc/passwd"},
    {"sub/deep/l": "../..", "sub/link": "deep/./l//sub/../../../etc/passwd"},
]


@pytest.mark.parametrize("links", LINKS_OUT)
async def test_link_out_of_the_repository_is_refused(scene, server, links):
    """Also one that gets out by way of another, though its words do not."""
    for name, target in links.items():
        (server.work / name).parent.mkdir(parents=True, exist_ok=True)
        (server.work / name).symlink_to(target)
    server.commit({"compose.yaml": COMPOSE})
    with pytest.raises(ComposeFileError, match="link leads out"):
        await scene.bring()
    assert not scene.folder.exists()


async def test_links_within_the_repository_are_written(scene, server):
    (server.work / "releases" / "one").mkdir(parents=True)
    for name, target in (
        ("current", "releases/one"),
        ("releases/up", "../current/a"),
        ("a", "releases/../current/./a"),
    ):
        (server.work / name).symlink_to(target)
    server.commit({"compose.yaml": COMPOSE, "releases/one/a": "inside"})
    await scene.bring()
    assert [(scene.folder / name).read_text() for name in ("a", "releases/up")] == ["inside"] * 2


async def test_link_that_a_container_put_in_the_way_leads_nowhere(scene, server, tmp_path):
    server.commit({"conf/a.conf": "one"})
    await scene.bring()
    outside = tmp_path / "outside"
    outside.mkdir()
    (scene.folder / "conf" / "a.conf").unlink()
    (scene.folder / "conf").rmdir()
    (scene.folder / "conf").symlink_to(outside)
    server.commit({"conf/a.conf": "two"})
    await scene.bring()
    assert list(outside.iterdir()) == []
    assert scene.files == {"conf/a.conf": "two"}


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "chown -R"), (errno.EROFS, "`:ro`"), (errno.EEXIST, "")])
async def test_folder_that_cannot_be_written_says_what_lets_it(scene, server, monkeypatch, number, words):
    def write(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "_write_entry", write)
    server.commit({"compose.yaml": COMPOSE})
    with pytest.raises(ComposeFileError, match="stack cannot be written") as refused:
        await scene.bring()
    assert words in refused.value.hint
    assert bool(words) == bool(refused.value.hint)


@pytest.mark.parametrize("name", ["bot/roas.toml", "bot", "state/git/dev.json", "state"])
async def test_what_is_the_bots_is_not_written_over(scene, server, name):
    """Whoever writes its settings or its journal decides what a stack may have."""
    scene.repositories = Repositories(scene.folder / "state", scene.secrets.extend, scene.client)
    own = scene.folder / "bot" / "roas.toml"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    scene.withheld = frozenset({own})
    server.commit({"compose.yaml": COMPOSE, name: "theirs"})
    with pytest.raises(ComposeFileError, match="must not be written"):
        await scene.bring()
    assert own.read_text() == "mine"


async def test_too_much_is_refused(scene, server, monkeypatch):
    monkeypatch.setattr("roas.stack.resolution.commit_files.MOST_FILE_BYTES", 100)
    server.commit({"large": "x" * 200})
    with pytest.raises(ComposeFileError, match="more than"):
        await scene.bring()
    monkeypatch.setattr("roas.stack.resolution.mirror.MOST_PACK_BYTES", 20_000)
    server.commit({"large": os.urandom(50_000).hex()})
    for _again in range(3):  # as a source that is followed asks for it
        with pytest.raises(RepositoryError):
            await scene.bring()
    assert size_of(scene.state) < 50_000
    monkeypatch.setattr("roas.stack.resolution.mirror.LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(RepositoryError, match="no room for") as caught:
        await scene.bring()
    assert str(scene.state / "git") in caught.value.message


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def test_mirror_does_not_grow_by_what_nothing_leads_to(scene, server, monkeypatch):
    """Whoever may push by force fills no disk: others' deployments need it, too."""
    monkeypatch.setattr("roas.stack.resolution.mirror.MOST_MIRROR_BYTES", 100_000)
    server.commit({"compose.yaml": COMPOSE})
    for number in range(6):
        (server.work / "large").write_text(os.urandom(60_000).hex())
        server.git("add", "large")
        server.git("commit", "-q", "--amend", "-m", f"Push {number} by force")
        server.push()
        await scene.bring()
        assert scene.files["large"] == (server.work / "large").read_text()
    assert size_of(scene.state) < 250_000


@pytest.mark.parametrize("most", [mirror.MOST_PRINTED_BYTES, 1 << 40])
async def test_tree_of_few_objects_that_names_millions_of_files_is_refused(scene, server, monkeypatch, most):
    """By what git prints, and by how many files that are; git does not run on."""
    monkeypatch.setattr("roas.stack.resolution.mirror.MOST_PRINTED_BYTES", most)
    kind, made = "100644", server.git("hash-object", "-w", "--stdin", stdin=b"x")
    for _level in range(2 if most > 1 << 30 else 6):
        entries = tree(*((kind, f"{at:0100}", made) for at in range(200)))
        kind, made = "40000", server.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=entries)
    commit = server.git("commit-tree", made, "-m", "Attack")
    server.git("push", "-q", "--force", str(server.bare), f"{commit}:refs/heads/main")
    async with asyncio.timeout(20):
        with pytest.raises(ComposeFileError, match="more than 20000 files"):
            await scene.bring()


async def test_files_have_one_deadline(scene, server, monkeypatch):
    monkeypatch.setattr(mirror, "FILES_SECONDS", 0.001)
    server.commit({"compose.yaml": COMPOSE})
    with pytest.raises(RepositoryUnavailableError, match=r"its files took more than 0\.001 s"):
        await scene.bring()


async def test_nobody_fetches_into_a_mirror_at_once(scene, server, monkeypatch):
    """Two environments of one repository have one mirror."""
    server.commit({"compose.yaml": COMPOSE})
    running: list[str] = []
    run = GitProgram.run

    async def counted(self: GitProgram, command: str, *arguments: str, **options: Any) -> bytes:
        if command != "fetch":
            return await run(self, command, *arguments, **options)
        assert running == []
        running.append(command)
        try:
            return await run(self, command, *arguments, **options)
        finally:
            running.clear()

    monkeypatch.setattr(GitProgram, "run", counted)
    commits = await asyncio.gather(scene.mirror.fetch(), scene.mirror.fetch(), scene.bring())
    assert len(set(commits)) == 1


async def test_server_that_is_away_or_has_no_such_ref(scene, server):
    server.commit({"compose.yaml": COMPOSE})
    scene.repository = Repository(server.url, "nowhere")
    for ask in (scene.bring, scene.mirror.head):
        with pytest.raises(RepositoryError, match="has no nowhere") as caught:
            await ask()
        assert not caught.value.transient
    scene.repository, server.is_away = Repository(server.url), True
    for ask in (scene.bring, scene.mirror.head):
        with pytest.raises(RepositoryUnavailableError) as caught:
            await ask()
        assert caught.value.transient


async def test_server_that_hangs_is_given_up(scene, server, monkeypatch):
    """It takes the connection, and never says anything."""
    held = asyncio.Event()

    async def hang(_reader, writer):
        await held.wait()
        writer.close()

    monkeypatch.setattr(mirror, "ASK_SECONDS", 0.5)
    monkeypatch.setattr(mirror, "FETCH_SECONDS", 0.5)
    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    scene.repository = replace(scene.repository, url=f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/shop.git")
    async with asyncio.timeout(10):
        for ask in (scene.mirror.head, scene.mirror.fetch):
            with pytest.raises(RepositoryUnavailableError, match=r"0\.5 s"):
                await ask()
    held.set()
    silent.close()


async def test_commit_must_be_signed_where_the_setting_asks(scene, server, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    scene.repository = Repository(server.url, signers_file=signers)
    server.commit({"compose.yaml": COMPOSE})
    with pytest.raises(RepositoryError, match="not signed") as refused:
        await scene.bring()
    assert "Sign the commit with a key of `signers_file`, or add the key there" in refused.value.hint
    options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "-c", "commit.gpgSign=true")
    signed = server.commit({"compose.yaml": COMPOSE * 2}, "Sign it", *options)
    assert await scene.bring() == signed
    known = signers.read_text()
    signers.write_text("")
    with pytest.raises(RepositoryError, match="not signed"):
        await scene.bring()
    signers.write_text(known)
    assert await scene.bring() == signed


async def test_commit_signed_by_openpgp(scene, server, tmp_path, monkeypatch):
    """The file decides which signatures count; one of a key that it has not, or none, is refused."""
    people = {name: tmp_path / name for name in ("ada", "eve")}
    for name, home in people.items():
        home.mkdir(mode=0o700)
        program = tmp_path / f"gpg-{name}"
        program.write_text(f'#!/bin/sh\nexec gpg --homedir {home} --batch --quiet "$@"\n')
        program.chmod(0o755)
        make = ("--passphrase", "", "--quick-generate-key", f"{name}@example.org", "ed25519", "sign")
        subprocess.run((program, *make), check=True)
    exported = subprocess.run((tmp_path / "gpg-ada", "--armor", "--export"), check=True, capture_output=True)
    signers = tmp_path / "signers.asc"
    signers.write_bytes(exported.stdout)
    scene.repository = Repository(server.url, signers_file=signers)
    signed = {}
    for name in people:
        options = ("-c", f"gpg.program={tmp_path}/gpg-{name}", "-c", f"user.signingKey={name}@example.org")
        signed[name] = server.commit({"name": name}, "Sign it", *options, "-c", "commit.gpgSign=true")
        if name == "ada":
            assert await scene.bring() == signed[name]
    for home in people.values():
        subprocess.run(("gpgconf", "--homedir", str(home), "--kill", "all"), check=True)
    with pytest.raises(RepositoryError, match="not signed"):
        await scene.bring()
    server.commit({"name": "nobody"})
    with pytest.raises(RepositoryError, match="not signed"):
        await scene.bring()
    monkeypatch.setattr("shutil.which", lambda name: None if name == "gpg" else f"/usr/bin/{name}")
    with pytest.raises(RepositoryError, match="gpg is not installed here"):
        await scene.bring()


async def test_deploy_key_and_host_key_by_a_real_ssh_server(scene, server, tmp_path):
    """It fetches by the deploy key from the server whose key is pinned, and from no other."""
    commit = server.commit({"compose.yaml": COMPOSE})
    known_hosts = tmp_path / "known_hosts"
    with packages_or_skip(), repository_server(tmp_path / "ssh", server.bare) as ssh:
        known_hosts.write_text(ssh.known_hosts)
        scene.repository = right = Repository(ssh.url, key_file=ssh.key, known_hosts_file=known_hosts)
        assert await scene.mirror.head() == await scene.bring() == commit
        assert ssh.key.read_text().strip() in scene.secrets
        scene.repository = replace(right, key_file=make_key(tmp_path / "another"))
        with pytest.raises(RepositoryError, match="does not take the deploy key") as caught:
            await scene.bring()
        assert not caught.value.transient
        assert "Add the public key of `key_file`" in caught.value.hint
        taken, restricted = tmp_path / "ssh" / "authorized_keys", "restrict,command="
        answer = taken.read_text().partition(" ssh-ed25519 ")[0]
        assert answer.startswith(restricted)
        with taken.open("a") as file:
            file.write(f"{answer} {(tmp_path / 'another.pub').read_text()}")
        assert await scene.bring() == commit
        host, kind, _key, *_comment = ssh.known_hosts.split()
        another = (tmp_path / "another.pub").read_text().split()[1]
        for wrong in (f"{host} {kind} {another}\n", ""):
            known_hosts.write_text(wrong)
            scene.repository = right
            with pytest.raises(RepositoryError, match="another host key") as caught:
                await scene.bring()
            assert not caught.value.transient
        assert "Correct `known_hosts_file`" in caught.value.hint
        known_hosts.write_text(ssh.known_hosts)
        assert await scene.bring() == commit


async def test_submodule_and_lfs_are_refused_in_the_stacks_folder_only(scene, server):
    """A folder that would be empty, or a file that only stands for another, is no stack's."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12\n"
    commit = server.commit({"deploy/compose.yaml": COMPOSE, "logo.png": pointer})
    server.git("update-index", "--add", "--cacheinfo", f"160000,{commit},library")
    server.git("commit", "-q", "-m", "Add a submodule")
    server.push()
    with pytest.raises(ComposeFileError, match="library needs `submodules`"):
        await scene.bring()
    server.git("rm", "-q", "--cached", "library")
    server.commit({})
    with pytest.raises(ComposeFileError, match=r"logo\.png needs `lfs`"):
        await scene.bring()
    scene.repository = Repository(server.url, path="deploy")
    await scene.bring()
    assert scene.files == {"compose.yaml": COMPOSE}


class WithLibrary:
    """Put a repository beside that of the stack, and name it there as a submodule."""

    def __init__(self, scene: Scene, server: GitServer, folder: Path) -> None:
        self.scene, self.server = scene, server
        self.library, self.inner = (GitServer(folder, name) for name in ("library", "inner"))

    def name(self, owner: GitServer, path: str, address: str, commit: str) -> str:
        """Let a repository name a commit of another, as `git submodule add` does."""
        (owner.work / ".gitmodules").write_text(f'[submodule "{path}"]\n\tpath = {path}\n\turl = "{address}"\n')
        owner.git("add", ".gitmodules")
        owner.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        owner.git("commit", "-q", "-m", "Name a submodule")
        return owner.push()


@pytest.fixture
def with_library(scene: Scene, server: GitServer, tmp_path: Path) -> WithLibrary:
    scene.repository = replace(scene.repository, submodules=True)
    return WithLibrary(scene, server, tmp_path / "server")


async def test_submodule_is_brought_at_the_commit_that_is_named(scene, server, with_library):
    """Not what its branch is at; with what it names itself, and without its history."""
    inner, library = with_library.inner, with_library.library
    deep = inner.commit({"deep": "inner"})
    library.commit({"a.conf": "one"})
    named = with_library.name(library, "vendor", "../inner.git", deep)
    library.commit({"a.conf": "two"})
    server.commit({"deploy/compose.yaml": COMPOSE, "README": "not the stack's"})
    with_library.name(server, "deploy/conf", "./../library.git", named)
    scene.repository = replace(scene.repository, path="deploy")
    first = await scene.bring()
    assert scene.files == {
        "compose.yaml": COMPOSE,
        "conf/.gitmodules": ANY,
        "conf/a.conf": "one",
        "conf/vendor/deep": "inner",
    }
    moved = with_library.name(server, "deploy/conf", "../library.git", library.commit({".gitmodules": None}))
    assert moved != first
    assert await scene.bring() == moved
    assert scene.files == {"compose.yaml": COMPOSE, "conf/a.conf": "two"}
    assert len(list((scene.state / "git" / "dev.kept").iterdir())) == 1  # those of the commit before are gone
    history = library.git("rev-list", "HEAD").split()
    scene.repository = replace(scene.repository, url=server.url.replace("shop.git", "library.git"), path="")
    await scene.bring()
    assert [commit.sha for commit in await scene.mirror.commits(history[-1], history[0])] == history[:-1]
    assert not await scene.mirror.is_forced(history[-1], history[0])


async def test_file_that_names_submodules_is_small_and_one_of_git(scene, server, with_library):
    commit = server.commit({"compose.yaml": COMPOSE})
    with_library.name(server, "library", "../library.git", commit)
    for content, words in (
        ("[submodule", r"`\.gitmodules` of .*shop\.git is not one: bad config line"),
        ("x" * (2 << 20), "more than 20000 files"),
        ('[submodule "' + "x" * 900 + '"]\n' + "\tpath\n" * 2000, "more than 20000 files"),
        (None, "library is a submodule of , from where the settings allow none"),
    ):
        server.commit({".gitmodules": content})
        server.git("update-index", "--add", "--cacheinfo", f"160000,{commit},library")
        server.git("commit", "-q", "--amend", "-m", "Name a submodule")
        server.push()
        with pytest.raises(RoasError, match=words) as caught:
            await scene.bring()
        assert not caught.value.transient


NO_SUBMODULES = [
    "",
    "https://elsewhere.example.org/library.git",
    "http://127.0.0.1:1/library.git",
    "https://127.0.0.1:1/library.git",
    "ext::sh -c true",
    "file:///srv/library.git",
    "/srv/library.git",
    "ssh://127.0.0.1#@evil.example.org/x",
]


async def test_submodule_of_elsewhere_is_refused(scene, server, with_library):
    commit = server.commit({"compose.yaml": COMPOSE})
    for address in NO_SUBMODULES:
        with_library.name(server, "library", address, commit)
        with pytest.raises(ComposeFileError, match=r"library is a submodule .* allow none\.") as caught:
            await scene.bring()
        assert f"submodule of {address}, from" in caught.value.message
    assert not scene.folder.exists()


async def test_submodule_that_leads_out_or_too_deep_or_is_gone_is_refused(scene, server, with_library, monkeypatch):
    library = with_library.library
    (library.work / "link").symlink_to("../../outside")
    with_library.name(server, "library", "../library.git", library.commit({}))
    with pytest.raises(ComposeFileError, match="library/link leads out"):
        await scene.bring()
    with_library.name(server, "library", "../library.git", "d" * 40)
    with pytest.raises(RepositoryError, match="has no dddddd") as caught:
        await scene.bring()
    assert not caught.value.transient
    with_library.name(server, "library", "../library.git", library.commit({"link": None, "large": "x" * 200}))
    monkeypatch.setattr(commit_files, "MOST_FILE_BYTES", 100)
    with pytest.raises(ComposeFileError, match="more than 20000 files"):
        await scene.bring()
    monkeypatch.setattr(mirror, "DEEPEST_SUBMODULE", 0)
    with pytest.raises(ComposeFileError, match="submodules, or more than 0 in each other: library"):
        await scene.bring()
    assert not scene.folder.exists()


@pytest.mark.parametrize(
    ("own", "submodules", "address", "is_taken"),
    [
        ("https://git.example.org/acme/shop.git", True, "https://git.example.org/acme/lib", True),
        ("https://git.example.org/acme/shop.git", True, "git@git.example.org:acme/lib.git", True),
        ("git@git.example.org:acme/shop.git", True, "https://GIT.example.org/acme/lib", True),
        ("ssh://git@git.example.org:2222/shop", True, "ssh://other@git.example.org:2222/lib", True),
        ("ssh://git@git.example.org:2222/shop", True, "ssh://git@git.example.org:2223/lib", False),
        ("https://git.example.org/acme/shop.git", True, "https://git.example.org:8443/acme/lib", False),
        ("https://git.example.org/acme/shop.git", True, "http://git.example.org/acme/lib", False),
        ("https://git.example.org/acme/shop.git", True, "https://github.com/acme/lib", False),
        ("https://git.example.org/acme/shop.git", False, "https://git.example.org/acme/lib", False),
        ("https://git.example.org/acme/shop.git", ("github.com",), "https://github.com/acme/lib", True),
        ("https://git.example.org/acme/shop.git", ("github.com",), "https://git.example.org/acme/lib", True),
        ("https://git.example.org/acme/shop.git", ("github.com",), "https://github.com.evil.org/lib", False),
        ("https://git.example.org/acme/shop.git", ("git.lan:8443",), "https://git.lan:8443/lib", True),
        ("http://gitea:3000/acme/shop", True, "http://gitea:3000/acme/lib", True),
        ("http://gitea:3000/acme/shop", True, "http://gitea:3001/acme/lib", False),
        ("http://gitea:3000/acme/shop", ("redis",), "http://redis/lib", False),
    ],
)
def test_submodule_comes_from_the_own_host_or_one_that_is_named(own, submodules, address, is_taken):
    settings = GitSettings(url=own, submodules=submodules)
    assert Repository(**dict(settings)).may_fetch(address) is is_taken


@pytest.mark.parametrize(
    ("own", "address", "whole"),
    [
        ("https://git.example.org/acme/shop.git", "../lib.git", "https://git.example.org/acme/lib.git"),
        ("https://git.example.org/acme/shop.git/", "../../b/lib", "https://git.example.org/b/lib"),
        ("https://git.example.org/shop", "../../../evil.org/x", "https:evil.org/x"),
        ("git@git.example.org:acme/shop.git", "../lib.git", "git@git.example.org:acme/lib.git"),
        ("git@git.example.org:shop.git", "../lib.git", "git@git.example.org:lib.git"),
        ("https://git.example.org/shop", "./lib", "https://git.example.org/shop/lib"),
        ("https://git.example.org/shop", "https://a/b", "https://a/b"),
    ],
)
def test_relative_address_leads_on_from_the_repository(own, address, whole):
    """As `git submodule` has it."""
    assert Repository(own).beside(address) == whole


def test_token_goes_to_the_own_server_only(tmp_path):
    own = Repository(
        "https://git.example.org/shop", token_file=tmp_path, submodules=("github.com",), signers_file=tmp_path
    )
    root = Repositories(tmp_path, [].extend, WebClient()).mirror(own, "dev")
    there = root._mirror_of(PurePosixPath("lib"), "https://github.com/acme/lib", "d" * 40)
    for mirror_of, address, token in (
        (root, "../lib", tmp_path),
        (there, "../other", None),
        (there, "https://git.example.org/lib", tmp_path),
    ):
        module = mirror_of._mirror_of(PurePosixPath("lib"), address, "d" * 40)
        assert (module._repository.token_file, module._repository.signers_file) == (token, None)
    assert there._repository.token_file is None


@pytest.mark.long
async def test_large_files_that_git_lfs_pushed_are_brought(scene, server, tmp_path, monkeypatch):
    """By HTTP, and by what the server says over SSH; what was fetched once is kept."""
    known_hosts = tmp_path / "known_hosts"
    with packages_or_skip():
        monkeypatch.setenv("PATH", f"{unpacked('git-lfs', ('git-lfs',))}/usr/bin:{os.environ['PATH']}")
        server.git("lfs", "install", "--local")
        server.git("config", "lfs.url", f"{server.url}/info/lfs")
        content = "large\n" * 10_000
        files = {"compose.yaml": COMPOSE, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
        await asyncio.to_thread(server.commit, files | {"logo.bin": content, "copy.bin": content})
        assert server.git("show", "HEAD:logo.bin").startswith("version https://git-lfs")
        scene.repository = replace(scene.repository, lfs=True)
        await scene.bring()
        assert scene.files == files | {"logo.bin": content, "copy.bin": content}
        (stored,) = server.large.iterdir()
        stored.unlink()
        await scene.bring()
        shutil.rmtree(scene.state / "git")
        with pytest.raises(RepositoryError, match=f"has no {stored.name[:12]} in Git LFS") as caught:
            await scene.bring()
        assert not caught.value.transient
        assert "`git lfs push --all`" in caught.value.hint
        await asyncio.to_thread(server.git, "lfs", "push", "--all", server.url)
        with repository_server(tmp_path / "ssh", server.bare, f"{server.url}/info/lfs") as ssh:
            known_hosts.write_text(ssh.known_hosts)
            (scene.folder / "logo.bin").unlink()
            scene.repository = Repository(ssh.url, key_file=ssh.key, known_hosts_file=known_hosts, lfs=True)
            await scene.bring()
        assert scene.files["logo.bin"] == content
        assert "of ssh" in scene.secrets


async def test_large_file_that_is_not_what_is_named_is_refused(scene, server, monkeypatch):
    """Neither what its server has in its place, nor what is larger than the commit says, gets into the folder."""
    oid = hashlib.sha256(b"the right one").hexdigest()
    server.commit({"logo.png": f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 13\n"})
    scene.repository = replace(scene.repository, lfs=True)
    for content, words in ((b"the wrong one", "another file"), (b"the", "another file"), (b"x" * 14, "too large")):
        (server.large / oid).write_bytes(content)
        with pytest.raises(RepositoryError, match=words):
            await scene.bring()
    (server.large / oid).write_bytes(b"the right one")
    root = server.url.removesuffix("/shop.git")
    for address, words in (
        (f"{root}/moved/{oid}?signed=secret", "answered 302"),
        (f"{root.replace('127.0.0.1', 'localhost')}/large/{oid}?signed=secret", "not HTTPS"),
        ("https:///large?signed=secret", "InvalidUrl"),
    ):
        server.action = {"href": address, "header": {"Authorization": "of an object"}}
        with pytest.raises(RepositoryError, match=words) as caught:
            await scene.bring()
        assert "signed" not in caught.value.message
    assert "of an object" in scene.secrets
    monkeypatch.setattr(commit_files, "MOST_FILE_BYTES", 12)
    with pytest.raises(ComposeFileError, match="more than"):
        await scene.bring()
    assert not scene.folder.exists()


@pytest.mark.parametrize(
    ("href", "is_taken"),
    [
        ("https://large.example.org/lfs", True),
        ("http://gitea:3000/lfs", True),
        ("http://10.0.0.1/lfs", False),
        ("http://git.example.org/lfs", False),
        ("file:///srv/lfs", False),
    ],
)
async def test_server_over_ssh_names_https_or_itself_for_large_files(scene, monkeypatch, href, is_taken):
    async def answer(*_arguments: object) -> bytes:
        return json.dumps({"href": href, "header": {"Authorization": "of ssh"}}).encode()

    monkeypatch.setattr(GitProgram, "run_program", answer)
    scene.repository = Repository("git@gitea:shop.git", lfs=True)
    with nullcontext() if is_taken else pytest.raises(RepositoryUnavailableError, match="no HTTPS address"):
        assert (await scene.mirror._lfs_server()).address == href
    assert bool(scene.secrets) == is_taken


async def test_kept_large_file_is_held_against_its_size_and_goes_when_it_is_not_used(scene, server):
    content = b"the right one"
    oid = hashlib.sha256(content).hexdigest()
    (server.large / oid).write_bytes(content)
    scene.repository = replace(scene.repository, lfs=True)
    for size, words in ((13, ""), (14, "another file")):
        server.commit({"logo.png": f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"})
        with pytest.raises(RepositoryError, match=words) if words else nullcontext():
            await scene.bring()
    assert scene.files == {"logo.png": "the right one"}
    kept = scene.state / "git" / "dev.kept" / "lfs"
    assert [path.name for path in kept.iterdir()] == [oid]
    server.commit({"logo.png": "small"})
    await scene.bring()
    assert list(kept.iterdir()) == []


BAD_URLS = [
    "ext::sh -c true",
    "file:///etc",
    "/srv/repository",
    "../repository",
    "--upload-pack=true",
    "ssh://-oProxyCommand=true/x",
    "-oProxyCommand=x@host:y",
    "git://example.org/x",
    "http://example.org/x",
    "http://8.8.8.8/x",
    "http://172.32.0.1/x",
    "https://example.org/x y",
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_other_transports_are_refused_twice(scene, url):
    with pytest.raises(ValidationError):
        GitSettings(url=url)
    scene.repository = Repository(url)
    with pytest.raises(RepositoryError):
        await scene.mirror.fetch()


def test_password_in_the_address_is_refused():
    with pytest.raises(ValidationError):
        GitSettings(url="https://ada:password@example.org/a.git")


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "a..b", "main@{1}", "a b", "", "+main"])
def test_ref_is_a_name(ref):
    with pytest.raises(ValidationError):
        GitSettings(url="https://example.org/x", ref=ref)


@pytest.mark.parametrize("path", ["../x", "a/../b", "a:b"])
def test_path_stays_inside(path):
    with pytest.raises(ValidationError):
        GitSettings(url="https://example.org/x", path=path)


GOOD_URLS = [
    "https://example.org/a/b.git",
    "ssh://git@example.org:22/a",
    "git@example.org:a/b.git",
    "http://gitea:3000/a",
    "http://172.17.0.1/a",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_usual_addresses_are_taken(url):
    assert GitSettings(url=url, path="deploy/prod", ref="refs/tags/v1").url == url
