"""The copy of a secret is for those for whom the secret is."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from roas.errors import ComposeFileError
from roas.stack.resolution.content_binding import ContentBinder
from roas.stack.sources.contents import ContentStore

OTHER_USER = 4242


@pytest.fixture
def as_plain_user() -> Iterator[None]:
    """Be somebody who can neither read everything nor give files away, as the bot is in its container."""
    os.seteuid(OTHER_USER)
    yield
    os.seteuid(0)


def place(tmp_path: Path, mode: int, uid: int, gid: int) -> Path:
    """Keep a secret's file; returns the copy."""
    source = tmp_path / "password"
    source.write_text("hunter2")
    os.chown(source, uid, gid)
    source.chmod(mode)
    return ContentStore(tmp_path / "contents", lambda: b"key").place_secret(source, write=True)


@pytest.mark.parametrize(("mode", "uid", "gid"), [(0o400, 0, 0), (0o440, 70, 71), (0o644, 999, 999)])
def test_copy_of_secret_is_readable_by_the_same(tmp_path: Path, mode: int, uid: int, gid: int) -> None:
    copied = place(tmp_path, mode, uid, gid)
    status = copied.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, uid, gid)
    assert stat.S_IMODE(copied.parent.stat().st_mode) == 0o700
    assert place(tmp_path, mode, uid, gid) == copied
    assert place(tmp_path, mode, uid + 1, gid) != copied
    assert b"hunter2".hex() not in copied.name


def test_plain_user_keeps_secrets_readable(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A bot that cannot give the copy to its owner lets everybody in the container read it, and refuses what it
    cannot read itself.
    """
    tmp_path.chmod(0o755)
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    for name, mode in (("shared", 0o440), ("private", 0o400)):
        (tmp_path / name).write_text("hunter2")
        (tmp_path / name).chmod(mode)
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", OTHER_USER, -1)
    store = ContentStore(tmp_path / "state" / "contents", lambda: b"key")
    request.getfixturevalue("as_plain_user")
    binder = ContentBinder(store, tmp_path, lambda _: False, write=True)
    model = {
        "services": {"web": {"secrets": [{"source": "shared"}, {"source": "private"}]}},
        "secrets": {name: {"file": str(tmp_path / name)} for name in ("shared", "private")},
    }
    web = binder.bind_secrets(model)["services"]["web"]
    (volume,) = web["volumes"]
    assert (volume["target"], volume["read_only"]) == ("/run/secrets/shared", True)
    assert stat.S_IMODE(Path(volume["source"]).stat().st_mode) == 0o444
    assert web["secrets"] == [{"source": "private"}]


def test_secret_file_that_is_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "s").open("wb") as file:
        file.truncate(5 << 20)
    binder = ContentBinder(ContentStore(tmp_path / "c"), tmp_path, lambda _: False, write=False)
    model = {"services": {"web": {"secrets": [{"source": "s"}]}}, "secrets": {"s": {"file": str(tmp_path / "s")}}}
    with pytest.raises(ComposeFileError, match="too large"):
        binder.bind_secrets(model)
