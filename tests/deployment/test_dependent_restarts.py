"""What starts again, though it runs as it should."""

from dataclasses import replace

from bot.deployment.dependent_restarts import to_restart
from bot.models.dependency import Dependency
from bot.models.stack import ServiceDefinition


def defined(name: str, *after: str, restart: bool = True, one_shot: bool = False) -> ServiceDefinition:
    edges = tuple(Dependency(name, on, restart=restart) for on in after)
    return ServiceDefinition(name, name, "d", edges, one_shot=one_shot)


STACK = {one.name: one for one in (defined("db"), defined("api", "db"), defined("web", "api"))}


def test_what_depends_with_restart_on_something_replaced_restarts_and_so_on() -> None:
    assert to_restart(STACK, {"db"}) == {"api", "web"}
    assert to_restart(STACK, {"api"}) == {"web"}
    assert to_restart(STACK, ()) == frozenset()


def test_what_is_replaced_itself_needs_no_restart() -> None:
    assert to_restart(STACK, {"db", "api"}) == {"web"}


def test_a_dependency_without_restart_moves_nobody() -> None:
    assert to_restart({**STACK, "api": defined("api", "db", restart=False)}, {"db"}) == frozenset()


def test_a_service_that_has_done_its_work_is_not_run_again() -> None:
    assert to_restart({**STACK, "api": replace(STACK["api"], one_shot=True)}, {"db"}) == frozenset()


def test_a_circle_of_restarts_ends() -> None:
    circle = {"a": defined("a", "b"), "b": defined("b", "a")}
    assert to_restart(circle, {"a"}) == {"b"}
