"""A probe asks the environment's own services, whatever name leads there, and nothing else."""

from typing import Any

import pytest

from roas.stack.policy.probe_rules import judge_probes


def _asked(url: object, **fields: Any) -> list[str]:
    own = {"image": "x", "x-deploy": {"probe": url}, "ports": [{"published": "8080", "target": 80}], **fields}
    return [judge_probe.entry for judge_probe in judge_probes({"services": {"web": own, "db": {"image": "x"}}})]


@pytest.mark.parametrize(
    "url", ["http://web/", "tcp://db:5432", {"url": "redis://db"}, "http://127.0.0.1:8080/up", "http://localhost:8080"]
)
def test_probe_of_own_service_passes(url: object) -> None:
    assert _asked(url) == []


def test_probe_by_another_name_of_a_service_passes() -> None:
    assert _asked("http://shop.local", hostname="Shop.local") == []
    assert _asked("http://alias", networks={"default": {"aliases": ["alias"]}}) == []


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://169.254.169.254/latest/meta-data", "probe:169.254.169.254:80"),
        ("https://intranet.example/admin?delete=all", "probe:intranet.example:443"),
        ("http://127.0.0.1:8000/", "probe:127.0.0.1:8000"),
        ("redis://:pw@other-redis", "probe:other-redis:6379"),
        ({"url": "tcp://[::1]:22"}, "probe:::1:22"),
    ],
)
def test_probe_of_anything_else_refused(url: object, entry: str) -> None:
    assert _asked(url) == [entry]


def test_probe_of_a_dependent_judged_too() -> None:
    edge = {"x-deploy": {"depends_on": {"db": {"probe": "http://elsewhere:1/"}}}}
    assert [judge_probe.entry for judge_probe in judge_probes({"services": {"web": edge, "db": {}}})] == [
        "probe:elsewhere:1"
    ]
