"""A service's probes are its own and those that its dependents name, each URL once."""

import pytest

from roas.errors import ComposeFileError
from roas.models.stack import ServiceProbe
from roas.stack.model.definitions import read_definitions
from roas.stack.model.x_deploy.probes import refuse_impossible_probes


def services(**extensions: object) -> dict[str, object]:
    return {"services": {name: {"image": f"{name}:1", "x-deploy": own} for name, own in extensions.items()}}


def test_own_and_dependent_probes_merged() -> None:
    edge = {"redis": {"probe": "redis://127.0.0.1:6379", "startup_delay": "10s"}}
    model = services(redis={"probe": "tcp://127.0.0.1:6379"}, web={"depends_on": edge}, shop={"depends_on": edge})
    assert set(read_definitions(model)["redis"].probes) == {
        ServiceProbe("tcp://127.0.0.1:6379"),
        ServiceProbe("redis://127.0.0.1:6379", 10.0),
    }
    assert read_definitions(model)["web"].probes == ()


def test_grace_configurable() -> None:
    own = {"url": "http://127.0.0.1:8080/health", "startup_delay": "5s"}
    (probe,) = read_definitions(services(web={"probe": own}))["web"].probes
    assert probe.grace_seconds == 5.0


@pytest.mark.parametrize(
    "probe", [7, "ftp://x", {"url": "tcp://x:1", "every": "1s"}, {"url": "tcp://x:1", "startup_delay": "soon"}]
)
def test_invalid_probe_refused(probe: object) -> None:
    with pytest.raises(ComposeFileError, match="probe"):
        read_definitions(services(web={"probe": probe}))


@pytest.mark.parametrize(
    "url", ["tcp://:secret@store:abc", "http://[store", "tcp://store", "redis:///0", "store:6379", 7]
)
def test_unsupported_probe_refused_without_secret(url: object) -> None:
    """The error of a probe that cannot be asked holds no secret."""
    model = services(store={}, web={"depends_on": {"store": {"probe": url}}})
    with pytest.raises(ComposeFileError, match="a probe of store has an invalid scheme, host or port"):
        refuse_impossible_probes(read_definitions(model))
