"""Mounts that are the same though they are written otherwise, and what of one is adopted."""

from typing import Any

import pytest

from roas.stack.adopting.sameness import differences
from roas.stack.model.read_back import ShownContainer, links, volumes


def mounted(mount: dict[str, Any]) -> list[dict[str, Any]]:
    return volumes(ShownContainer({"HostConfig": {}, "Mounts": [mount]}, {}, {}, {}))


def test_paths_written_otherwise_are_the_same() -> None:
    """Compose leaves an absolute path as it is written; the engine shows it without what says nothing."""
    written = {"type": "bind", "source": "/etc//pihole/", "target": "/etc/pihole/"}
    kept = {"type": "volume", "source": "data", "target": "/var//data/"}
    shown = {"type": "bind", "source": "/etc/pihole", "target": "/etc/pihole"}
    named = {"type": "volume", "source": "data", "target": "/var/data"}
    wanted, real = {"volumes": [written, kept]}, {"volumes": [shown, named]}
    assert [*differences(wanted, {}, real, {}, {})] == []
    elsewhere = {"volumes": [{**shown, "target": "/etc/other"}, named]}
    assert [*differences(wanted, {}, elsewhere, {}, {})] == ["volumes"]


def test_link_under_its_own_name_is_the_same() -> None:
    assert [*differences({"links": ["db:db", "a:b"]}, {}, {"links": ["a:b", "db"]}, {}, {})] == []
    assert [*differences({"links": ["db:database"]}, {}, {"links": ["db"]}, {}, {})] == ["links"]


def test_selinux_sign_of_a_plain_bind_counts_alone() -> None:
    """Compose sends none for a bind in long form, which does not create its folder."""
    mount = {"Type": "bind", "Source": "/a", "Destination": "/a", "Mode": "", "RW": True, "Propagation": "rprivate"}
    real = mounted(mount)
    wanted = {"type": "bind", "source": "/a", "target": "/a", "bind": {"selinux": "z"}}
    assert [*differences({"volumes": [wanted]}, {}, {"volumes": real}, {}, {})] == []
    short = {**wanted, "bind": {"selinux": "z", "create_host_path": True}}
    assert [*differences({"volumes": [short]}, {}, {"volumes": real}, {}, {})] == ["volumes"]


@pytest.mark.parametrize("sign", ["", "z", "Z"])
@pytest.mark.parametrize("mode", ["rw", "z", "rw,Z"])
def test_selinux_sign_of_a_volume_is_the_same(mode: str, sign: str) -> None:
    """The engine shows `z` where nobody asked for anything, and Compose may leave out what is asked for."""
    mount = {"Type": "volume", "Name": "db", "Source": "/x", "Destination": "/db", "Mode": mode, "RW": True}
    real = mounted(mount)
    assert real[0].get("bind") == ({"selinux": "Z"} if "Z" in mode else None), "release 0 gives it back"
    wanted = {"type": "volume", "source": "db", "target": "/db", "bind": {"selinux": sign} if sign else {}}
    assert [*differences({"volumes": [wanted]}, {}, {"volumes": real}, {}, {})] == []


@pytest.mark.parametrize(("mode", "asked"), [("ro", None), ("ro,rslave", "rslave")])
def test_propagation_adopted_where_asked_for(mode: str, asked: str | None) -> None:
    """The engine gives `rslave` by itself to what holds its own folder, such as `/`."""
    mount = {"Type": "bind", "Source": "/", "Destination": "/host", "Mode": mode, "RW": False, "Propagation": "rslave"}
    (volume,) = mounted(mount)
    assert volume["bind"].get("propagation") == asked


def test_others_are_looked_at_for_links_only() -> None:
    """Of three hundred containers, each would look at all."""

    class Others(dict[str, Any]):
        def values(self) -> Any:
            raise AssertionError("looked at all of them")

    network: dict[str, Any] = {"Aliases": ["web"], "Links": None}
    inspected = {
        "Id": "c1",
        "Name": "/shop-web-1",
        "Config": {"Labels": {}},
        "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkSettings": {"Networks": {"shop_default": network}},
    }
    container = ShownContainer(inspected, {}, {}, Others())
    assert links(container) == ([], [])
    network["Links"] = ["shop-db-1:db"]
    with pytest.raises(AssertionError, match="all of them"):
        links(container)
