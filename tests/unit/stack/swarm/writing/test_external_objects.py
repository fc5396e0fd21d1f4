"""Secrets and configs that a compose file calls external: the newest is written, and what is missing is said."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roas.errors import EngineError, InvalidRequestError
from roas.models.environment import Environment
from roas.stack.docker.labels import STACK
from roas.stack.model.definitions import read_definitions
from roas.stack.swarm.calls import OutOfSequenceError
from roas.stack.swarm.normal_form import normal_form
from roas.stack.swarm.writing.external_objects import (
    VERSION_OF,
    add_version,
    find_missing,
    newest_version,
    read_newest,
    superseded,
    with_newest,
)
from roas.stack.swarm.writing.service_spec import service_spec
from roas.stack.swarm.writing.service_writes import make_shared

Json = dict[str, Any]
DEV = Environment("dev", "shop", Path(), ())
MODEL: Json = {
    "name": "shop",
    "services": {
        "web": {
            "image": "web:v1",
            "secrets": [{"source": "password"}, {"source": "key", "target": "tls", "uid": "5", "mode": "0400"}],
            "configs": [{"source": "site", "target": "/etc/site"}],
        }
    },
    "secrets": {"password": {"name": "db", "external": True}, "key": {"name": "key", "external": True}},
    "configs": {"site": {"name": "site", "external": True}},
}


def found(name: str, version_of: str = "", stack: str = "") -> Json:
    labels = {VERSION_OF: version_of} if version_of else {}
    return {"ID": f"id-{name}", "Spec": {"Name": name, "Labels": labels | ({STACK: stack} if stack else {})}}


def file(name: str, mode: int, *, uid: str = "0") -> Json:
    return {"Name": name, "UID": uid, "GID": "0", "Mode": mode}


class Manager:
    """Have secrets and configs."""

    def __init__(self, secrets: Iterable[Json] = (), configs: Iterable[Json] = (), taken: Json | None = None) -> None:
        self._kept = {"secrets": [*secrets], "configs": [*configs]}
        self._taken = taken
        self.created: list[Mapping[str, Any]] = []

    def create(self, kind: str, spec: Mapping[str, Any]) -> str:
        if self._taken is not None:
            self._kept[kind].append(self._taken)
            self._taken = None
            raise OutOfSequenceError("name conflicts with an existing object")
        self._kept[kind].append({"ID": "new", "Spec": dict(spec)})
        self.created.append(spec)
        return "new"

    def beginning_with(self, kind: str, names: Iterable[str]) -> dict[str, Json]:
        names = tuple(names)
        kept = {str(entry["Spec"]["Name"]): entry for entry in self._kept[kind]}
        return {name: entry for name, entry in kept.items() if name.startswith(names)}

    def network_names(self, names: object = ()) -> Mapping[str, str]:
        return {"n": "shop_default"}


WHOLE = Manager([found("db"), found("db_v2", "db"), found("key")], [found("site")])


def given(model: Json) -> dict[str, list[Json]]:
    """Return what a task of the service is given."""
    container = service_spec("shop", model, read_definitions(model)["web"])["TaskTemplate"]["ContainerSpec"]
    return {key: container[key] for key in ("Secrets", "Configs")}


def test_newest_version_is_written_as_the_stack_command_would() -> None:
    model = with_newest(MODEL, read_newest(WHOLE, MODEL))  # type: ignore[arg-type]
    assert given(model) == {
        "Secrets": [
            {"File": file("password", 0o444), "SecretID": "", "SecretName": "db_v2"},
            {"File": file("tls", 0o400, uid="5"), "SecretID": "", "SecretName": "key"},
        ],
        "Configs": [{"File": file("/etc/site", 0o444), "ConfigID": "", "ConfigName": "site"}],
    }
    ids = make_shared(WHOLE, "shop", model, ["web"])  # type: ignore[arg-type]
    assert (ids.secrets, ids.configs) == ({"db_v2": "id-db_v2", "key": "id-key"}, {"site": "id-site"})


@pytest.mark.parametrize("target", ["/site", None])
def test_config_without_a_target_is_where_the_stack_command_mounts_it(target: str | None) -> None:
    """Newer Compose writes the usual target out."""
    entry = {"source": "site", **({"target": target} if target else {})}
    model = {**MODEL, "services": {"web": {**MODEL["services"]["web"], "configs": [entry]}}}
    assert given(model)["Configs"][0]["File"]["Name"] == "site"


@pytest.mark.parametrize(
    ("there", "newest"),
    [
        ([], None),
        ([found("db")], "db"),
        ([found("db"), found("db_v2", "db"), found("db_v10", "db")], "db_v10"),
        ([found("db_v3", "db")], "db_v3"),
        ([found("db"), found("db_v2"), found("db_v3", "other"), found("db_version", "db")], "db"),
    ],
    ids=["none", "the first", "by number", "the first is gone", "others of such names"],
)
def test_newest_version_is_found_by_number_and_label(there: list[Json], newest: str | None) -> None:
    assert newest_version("db", {entry["Spec"]["Name"]: entry for entry in there}) == newest


def test_what_is_missing_is_said_with_the_command_that_makes_it() -> None:
    newest = read_newest(Manager([found("db")]), MODEL)  # type: ignore[arg-type]
    missing = list(find_missing(MODEL, newest, DEV))
    assert [obstacle.message for obstacle in missing] == [
        "The external config site does not exist: create it by `docker config create site FILE`.",
        "The external secret key does not exist: create it by `roas secret set dev key`.",
    ]
    manager = Manager([found("db")], [found("site")])
    with pytest.raises(EngineError, match="The Swarm has no secret key") as lacking:
        make_shared(manager, "shop", MODEL, ["web"])  # type: ignore[arg-type]
    assert "Create it again (`roas secret set`" in str(lacking.value.hint)
    add_version(manager, "key", b"again")  # type: ignore[arg-type]
    assert make_shared(manager, "shop", MODEL, ["web"]).secrets["key"] == "new"  # type: ignore[arg-type]


def test_order_of_files_is_no_difference() -> None:
    spec = service_spec("shop", MODEL, read_definitions(MODEL)["web"])
    container = spec["TaskTemplate"]["ContainerSpec"]
    turned = {**container, "Secrets": container["Secrets"][::-1]}
    assert normal_form(container, {}) == normal_form(turned, {})


@pytest.mark.parametrize(
    ("there", "called"),
    [
        ([], "db"),
        ([found("db")], "db_v2"),
        ([found("db"), found("db_v2", "db")], "db_v3"),
        ([found("db"), found("db_v7")], "db_v8"),
    ],
    ids=["the first", "the second", "another", "another's name is left alone"],
)
def test_new_version_has_the_next_number(there: list[Json], called: str) -> None:
    manager = Manager(there)
    assert add_version(manager, "db", b"two") == called  # type: ignore[arg-type]
    assert manager.created == [{"Name": called, "Labels": {VERSION_OF: "db"}, "Data": "dHdv"}]
    assert newest_version("db", manager.beginning_with("secrets", ["db"])) == called


def test_version_that_somebody_else_makes_meanwhile_is_left_alone() -> None:
    manager = Manager([found("db")], taken=found("db_v2", "db"))
    assert add_version(manager, "db", b"two") == "db_v3"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "there", "words"),
    [("db", [found("db", stack="other")], "belongs to the stack other"), ("x" * 64, [], "more characters")],
)
def test_secret_that_cannot_be_made_is_refused(name: str, there: list[Json], words: str) -> None:
    manager = Manager(there)
    with pytest.raises(InvalidRequestError, match=words):
        add_version(manager, name, b"two")  # type: ignore[arg-type]
    assert not manager.created


def test_services_with_an_older_version_are_named() -> None:
    model = with_newest(MODEL, {("secrets", "db"): "db_v2"})
    assert superseded(model, {("secrets", "db"): "db_v3", ("secrets", "key"): "key"}) == {"web": (("db_v2", "db_v3"),)}
    assert superseded(model, {("secrets", "db"): "db_v2"}) == {}
