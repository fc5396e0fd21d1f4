"""`x-deploy.proxy` says which proxy stands in front of a service, and makes the service start-first."""

import math

import pytest

from roas.errors import ComposeFileError
from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.model.definitions import read_definitions
from roas.stack.model.x_deploy.proxy import lossy_updates, refuse_impossible_proxies


def definitions(proxy: object, **fields: object):
    web = {"image": "web:1", "x-deploy": {"proxy": proxy}, **fields}
    return read_definitions({"services": {"web": web, "haproxy": {"image": "haproxy:3.0"}}})


def test_name_alone_is_enough() -> None:
    web = definitions("haproxy", stop_grace_period="20s")["web"]
    assert web.proxy == ServiceProxy(
        "haproxy", socket="/var/lib/haproxy/admin.sock", backends=("web",), limit_seconds=20.0
    )
    assert web.start_first
    assert web.rollback_start_first


def test_everything_can_be_said() -> None:
    written = {
        "service": "haproxy",
        "kind": "dns",
        "socket": "/run/./a.sock",
        "backends": ["a", "b"],
        "websockets": "c",
        "drain": "1m",
        "refresh": "2s",
    }
    proxy = definitions(written)["web"].proxy
    assert proxy == ServiceProxy("haproxy", ProxyKind.DNS, "/run/a.sock", ("a", "b"), ("c",), 60.0, 2.0)
    assert proxy is not None
    assert proxy.all_backends == ("a", "b", "c")


def test_order_that_is_written_counts() -> None:
    web = definitions("haproxy", deploy={"update_config": {"order": "stop-first"}})["web"]
    assert not web.start_first
    assert web.rollback_start_first
    (warning,) = lossy_updates({"web": web})
    assert "web has `x-deploy.proxy`, but its file says `order: stop-first`" in warning
    assert lossy_updates(definitions("haproxy")) == ()


def test_fixed_port_denies_start_first() -> None:
    web = definitions("haproxy", ports=[{"published": "80", "target": 80}])["web"]
    assert not web.start_first
    assert web.denies_start_first


def test_service_without_proxy_stays_stop_first() -> None:
    assert not definitions("haproxy")["haproxy"].start_first


@pytest.mark.parametrize(
    "proxy",
    [
        7,
        [],
        {},
        {"service": ""},
        {"service": "haproxy", "port": 80},
        {"service": "haproxy", "kind": "nginx"},
        {"service": "haproxy", "socket": "run/a.sock"},
        {"service": "haproxy", "socket": "/run/../a.sock"},
        {"service": "haproxy", "backends": ["web;shutdown sessions server web/web1"]},
        {"service": "haproxy", "backends": ["web\nset server"]},
        {"service": "haproxy", "websockets": 7},
        {"service": "haproxy", "drain": "soon"},
        {"service": "haproxy", "drain": -1},
        {"service": "haproxy", "drain": math.inf},
        {"service": "haproxy", "kind": "dns", "refresh": math.nan},
    ],
)
def test_invalid_proxy_is_refused(proxy: object) -> None:
    with pytest.raises(ComposeFileError, match="x-deploy of web is not valid: proxy"):
        definitions(proxy)


@pytest.mark.parametrize("name", ["web", "nginx"])
def test_proxy_is_another_service_of_the_stack(name: str) -> None:
    with pytest.raises(ComposeFileError, match=r"proxy\.service: use haproxy"):
        refuse_impossible_proxies(definitions(name))


def stack(haproxy: dict | None = None, **proxies: object):
    services = {name: {"image": "web:1", "x-deploy": {"proxy": proxy}} for name, proxy in proxies.items()}
    return read_definitions({"services": {**services, "haproxy": {"image": "haproxy:3.0", **(haproxy or {})}}})


def test_haproxy_of_several_containers_is_refused() -> None:
    """Only one of them could be told what is drained, and the others would go on sending to it."""
    several = {"deploy": {"replicas": 2}}
    with pytest.raises(ComposeFileError, match="haproxy has 2 containers, and only one can be told"):
        refuse_impossible_proxies(stack(several, web="haproxy"))
    refuse_impossible_proxies(stack(several, web={"service": "haproxy", "kind": "dns"}))


def test_proxy_without_backends_is_refused() -> None:
    with pytest.raises(ComposeFileError, match=r"proxy.backends: use \[BACKEND\]"):
        refuse_impossible_proxies(stack(web={"service": "haproxy", "backends": []}))


def test_services_of_one_backend_are_refused() -> None:
    """What is held for the one would be released by the other."""
    with pytest.raises(ComposeFileError, match="the backend shop is that of api"):
        refuse_impossible_proxies(
            stack(
                api={"service": "haproxy", "backends": ["shop"]},
                web={"service": "haproxy", "backends": ["web"], "websockets": ["shop"]},
            )
        )
    refuse_impossible_proxies(stack(api="haproxy", web="haproxy"))
