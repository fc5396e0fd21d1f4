"""What is kept of configuration files, and what counts as their content."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from roas.errors import ComposeFileError
from roas.stack.resolution.content_binding import ContentBinder
from roas.stack.sources import contents
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.trees import Tree, TreeEntry


def test_content_stored_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("a")
    store = ContentStore(tmp_path / "contents")

    def broken(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contents, "_flush", broken)
    with pytest.raises(OSError, match="No space"):
        store.place(source, write=True)
    assert list((tmp_path / "contents").iterdir()) == []


def hash_of(path: Path) -> str:
    return ContentStore(path.parent / "none").place(path, write=False).name


def test_content_covers_modes_names_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("text")
    file.chmod(0o644)
    seen = [hash_of(folder)]
    file.chmod(0o600)
    seen.append(hash_of(folder))
    file.rename(folder / "other")
    seen.append(hash_of(folder))
    (folder / "link").symlink_to("other")
    seen.append(hash_of(folder))
    (folder / "empty").mkdir()
    seen.append(hash_of(folder))
    assert len(set(seen)) == len(seen)
    copy = ContentStore(tmp_path / "contents").place(folder, write=True)
    assert copy.name == hash_of(copy) == seen[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_content_name_ignores_owner(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    mine = hash_of(file)
    os.chown(file, 12345, 12345)
    assert hash_of(file) == mine
    kept = ContentStore(tmp_path / "contents").place(file, write=True)
    assert (kept.name, kept.stat().st_uid) == (mine, 12345)


def test_unused_contents_cleared_later(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "contents")
    needed, fresh, old = (store.place_text(text, write=True) for text in ("needed", "fresh", "old"))
    for path in (needed, old):
        os.utime(path, (0, 0))
    store.clear(lambda name: name == needed.name, 60)
    assert (needed.exists(), fresh.exists(), old.exists()) == (True, True, False)


SWAPPED = {
    "settings.ini": {"configs": [{"source": "settings"}]},
    "conf": {"volumes": [{"type": "bind", "source": "conf", "target": "/conf", "read_only": True}]},
    "conf/run.sh": {"volumes": [{"type": "bind", "source": "conf/run.sh", "target": "/run.sh", "read_only": True}]},
}


@pytest.mark.parametrize("name", SWAPPED)
def test_link_set_after_the_judgement_is_not_kept(tmp_path: Path, name: str) -> None:
    """What is bound is what was judged: a name that leads elsewhere by then is refused, not copied, nor bound."""
    folder, outside, store = tmp_path / "stack", tmp_path / "outside", ContentStore(tmp_path / "contents")
    (folder / "conf").mkdir(parents=True)
    outside.mkdir()
    for path in (folder / "settings.ini", folder / "conf" / "run.sh", outside / "run.sh"):
        path.write_text(f"in {path.parent.name}")
    service = {**SWAPPED[name], "volumes": [dict(item) for item in SWAPPED[name].get("volumes", ())]}
    for volume in service["volumes"]:
        volume["source"] = str(folder / volume["source"])
    model = {"services": {"web": service}, "configs": {"settings": {"file": str(folder / "settings.ini")}}}
    binder = ContentBinder(store, folder, lambda path: False, write=True)
    assert binder.bind(model)["services"]["web"]["volumes"][0]["source"].startswith(str(store.folder))
    (folder / name).rename(tmp_path / "was")
    (folder / name).symlink_to(outside if name == "conf" else outside / "run.sh")
    with pytest.raises(ComposeFileError, match="leads out of the stack's folder"):
        binder.bind(model)
    assert "in outside" not in {path.read_text() for path in store.folder.rglob("*") if path.is_file()}


def test_config_that_is_a_pipe_is_named_in_the_plan(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    model = {"services": {"web": {"configs": [{"source": "c"}]}}, "configs": {"c": {"file": str(tmp_path / "pipe")}}}
    binder = ContentBinder(ContentStore(tmp_path / "contents"), tmp_path, lambda _: False, write=False)
    with pytest.raises(ComposeFileError, match="pipe is not a regular file"):
        binder.bind(model)


@pytest.mark.parametrize("name", ["conf", "conf/sub"])
def test_link_set_while_copying_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The path is resolved and its size is known when one of its folders becomes a link to elsewhere."""
    folder, outside, store = tmp_path / "stack", tmp_path / "outside", ContentStore(tmp_path / "contents")
    for place in (folder / "conf" / "sub", outside / "sub"):
        place.mkdir(parents=True)
        (place / "run.sh").write_text(f"below {place.parent.name}")
    take = Tree._take

    def swap_and_take(tree: Tree, entry: TreeEntry, target: Path | None) -> str | None:
        if target is not None and entry.path.name == "run.sh" and not (tmp_path / "was").exists():
            (folder / name).rename(tmp_path / "was")
            (folder / name).symlink_to(outside if name == "conf" else outside / "sub")
        return take(tree, entry, target)

    monkeypatch.setattr(Tree, "_take", swap_and_take)
    with suppress(OSError):
        store.place(folder / "conf", beneath=folder, write=True)
    assert (tmp_path / "was").exists()
    kept = {path.read_text() for path in store.folder.rglob("*") if path.is_file() and not path.is_symlink()}
    assert "below outside" not in kept


@pytest.mark.parametrize("source", ["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"])
def test_host_place_is_bound_where_it_is(tmp_path: Path, source: str) -> None:
    """The policy has judged it. That it is a link of the host's, as /etc/localtime is, says nothing about the stack."""
    stack = tmp_path / "stack"
    stack.mkdir()
    volume = {"type": "bind", "source": source, "target": "/t", "read_only": True}
    binder = ContentBinder(ContentStore(tmp_path / "contents"), stack, lambda _: False, write=True)
    bound = binder.bind({"services": {"web": {"image": "x", "volumes": [volume]}}})
    assert bound["services"]["web"]["volumes"] == [volume]
