"""The files of a proxy lie where they are from release to release; what belongs there is in the release."""

from pathlib import Path

import pytest

from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.model.live_files import LIVE, LiveFiles, services_with_live_files, with_live_files

TARGET = "/usr/local/etc/haproxy/haproxy.cfg"


def kept(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def model(source: Path, **fields: object) -> dict:
    volumes = [{"type": "bind", "source": str(source), "target": TARGET, "read_only": True}]
    return {"services": {"proxy": {"image": "haproxy:3.0", "volumes": volumes, **fields}, "web": {"volumes": volumes}}}


def live(model: dict, folder: Path, kind: ProxyKind = ProxyKind.HAPROXY) -> dict:
    names = services_with_live_files(model, [ServiceProxy("proxy", kind)])
    return with_live_files(model, names, "shop-dev", folder)["services"]


def test_another_content_is_bound_from_the_same_place(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "a" * 64, "old\n" * 9), kept(tmp_path, "b" * 64, "new")
    before, after = live(model(old), tmp_path)["proxy"], live(model(new), tmp_path)["proxy"]
    assert before["volumes"] == after["volumes"]
    place = Path(before["volumes"][0]["source"])
    assert (before["x-deploy"], after["x-deploy"]) == ({LIVE: {str(place): str(old)}}, {LIVE: {str(place): str(new)}})
    files = LiveFiles(tmp_path)
    assert not files.is_unread(before), "nobody binds it yet"
    files.put(before)
    assert files.is_unread(before), "nobody has read it yet"
    files.note_read(before)
    assert (files.is_unread(before), files.is_unread(after)) == (False, True)
    number = place.stat().st_ino
    files.put(after)
    assert place.read_text() == "new"
    assert place.stat().st_ino == number, "a container has the file bound, and not its name"
    assert files.is_unread(before), "nor has anybody read what it was before"


@pytest.mark.parametrize(
    ("fields", "kind", "is_live"),
    [
        ({}, ProxyKind.HAPROXY, True),
        ({"image": "registry.example/team/caddy:2"}, ProxyKind.DNS, True),
        ({"image": "nginx:1"}, ProxyKind.DNS, False),
    ],
)
def test_only_what_reads_it_again(tmp_path: Path, fields: dict, kind: ProxyKind, is_live: bool) -> None:
    services = live(model(kept(tmp_path, "a" * 64, "text"), **fields), tmp_path, kind)
    assert bool(services["proxy"].get("x-deploy", {}).get(LIVE)) is is_live
    assert services["web"]["volumes"][0]["source"] == str(tmp_path / ("a" * 64))


def test_secrets_and_what_lies_elsewhere_stay(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for source in (kept(tmp_path, "secret-1", "key"), kept(elsewhere, "file", "text")):
        assert LIVE not in live(model(source), tmp_path)["proxy"].get("x-deploy", {})
    files = LiveFiles(tmp_path)
    files.put({"x-deploy": {LIVE: {str(tmp_path / "other"): str(elsewhere / "file")}}})
    assert not (tmp_path / "other").exists(), "nothing is written but where the bot itself has put it"
