"""What starts again, though it runs as it should."""

from dataclasses import replace

from roas.deploy.changes import to_restart
from roas.models.stack import Dependency, ServiceDefinition


def defined(name: str, *after: str, restart: bool = True, one_shot: bool = False) -> ServiceDefinition:
    edges = tuple(Dependency(name, on, restart=restart) for on in after)
    return ServiceDefinition(name, name, "d", edges, one_shot=one_shot)


STACK = {item.name: item for item in (defined("db"), defined("api", "db"), defined("web", "api"))}


def test_restart_dependents_restart_transitively() -> None:
    assert to_restart(STACK, {"db"}) == {"api", "web"}
    assert to_restart(STACK, {"api"}) == {"web"}
    assert to_restart(STACK, ()) == frozenset()


def test_replaced_service_needs_no_restart() -> None:
    assert to_restart(STACK, {"db", "api"}) == {"web"}


def test_dependency_without_restart_ignored() -> None:
    assert to_restart({**STACK, "api": defined("api", "db", restart=False)}, {"db"}) == frozenset()


def test_finished_one_shot_not_rerun() -> None:
    assert to_restart({**STACK, "api": replace(STACK["api"], one_shot=True)}, {"db"}) == frozenset()


def test_restart_cycle_terminates() -> None:
    circle = {"a": defined("a", "b"), "b": defined("b", "a")}
    assert to_restart(circle, {"a"}) == {"b"}
