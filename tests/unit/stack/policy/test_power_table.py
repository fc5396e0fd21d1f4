"""The page of powers has what the policy finds, and each of them is given, or not, by every way to ask for it."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.new_powers import refuse_ungranted
from roas.errors import NewPowersError
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment, PolicyLevel
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.power import Power, identities, named
from testbed.release_before import ROOT

FOLDER = Path("/srv/shop")
STACK = Environment("dev", "shop", FOLDER, (FOLDER / "compose.yaml",), policy=PolicyLevel.ASK)
POLICY = ComposePolicy((), Path("/var/lib/roas"))
PAGE = (ROOT / "docs" / "explanation" / "powers.md").read_text()
SHOWN = re.findall(r"`((?:web|job|data|n): [^`]+)`", PAGE.partition("## Powers")[2].partition("## Who says yes")[0])


def bind(source: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/t", "read_only": read_only}]}


def volume(definition: dict[str, Any], *, read_only: bool = False) -> dict[str, Any]:
    mount = {"type": "volume", "source": "data", "target": "/t", "read_only": read_only}
    return {"services": {"web": {"volumes": [mount]}}, "volumes": {"data": definition}}


def web(fields: dict[str, Any]) -> dict[str, Any]:
    return {"services": {"web": fields}}


THEIRS = {"external": True, "name": "theirs"}
MODELS: dict[str, dict[str, Any]] = {
    "web: cap_add NET_ADMIN": web({"cap_add": ["NET_ADMIN"]}),
    "web: pid host": web({"pid": "host"}),
    "job: pid service:web": {"services": {"web": {"privileged": True}, "job": {"pid": "service:web"}}},
    "web: docker-socket /run/docker.sock": web(bind("/run/docker.sock", read_only=True)),
    "web: path /run/containerd": web(bind("/run/containerd", read_only=True)),
    "web: path /srv/media": web(bind("/srv/media")),
    "web: writes /srv/shop/.git": web(bind("/srv/shop/.git")),
    "web: writes /srv/shop/data": web(bind("/srv/shop/data")),
    "data: volume device=/srv, o=bind, type=none": volume(
        {"driver_opts": {"type": "none", "o": "bind", "device": "/srv"}}
    ),
    "web: reads /etc/ssl": web(bind("/etc/ssl", read_only=True)),
    "web: reads /srv/shop/big": web(bind("/srv/shop/big", read_only=True)),
    "web: port 443": web({"ports": [{"target": 443, "published": "443"}]}),
    "web: port 10.0.0.1:443": web({"ports": [{"target": 443, "published": "443", "host_ip": "10.0.0.1"}]}),
    "n: network 10.0.0.0/8": {"networks": {"n": {"ipam": {"config": [{"subnet": "10.0.0.0/8"}]}}}},
    "data: others-volume theirs": volume(THEIRS),
    "data: reads others-volume theirs": volume(THEIRS, read_only=True),
    "web: build host": web({"build": {"context": "/srv/shop", "network": "host"}}),
    "web: logging syslog": web({"logging": {"driver": "syslog"}}),
}


@pytest.mark.parametrize("name", dict.fromkeys((*MODELS, *SHOWN)))
def test_page_shows_what_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roas.stack.policy.places.is_there", lambda path: path == FOLDER / ".git")
    assert name in SHOWN
    model = MODELS[name]
    found = identities((*POLICY.check(model, STACK), *POLICY.check_bound(model, STACK)), model)
    assert name in map(named, found)


def test_name_of_a_power_is_whole() -> None:
    """Whoever gives one gives no other one that looks like it, nor one of the same hash."""
    model = web({"privileged": True})
    (identity,) = identities(POLICY.check(model, STACK), model)
    assert re.fullmatch(r"web: privileged#[0-9a-f]{40}", identity)
    assert named(identity) == "web: privileged"
    texts = ("/a b", "/a  b", "/a\xa0b", "/a\u200bb", "/a\nb", f"/a b#{'0' * 40}")
    names = [
        Power(said("{name} {does} {path}", name="web", does="binds", path=text), f"bind:{text}").name for text in texts
    ]
    assert len({*names, *map(named, names)}) == len(texts)
    assert all(name.isprintable() and name.isascii() for name in names)


@pytest.mark.parametrize(
    ("model", "reading"),
    [
        (
            volume({"driver_opts": {"type": "overlay", "o": "lowerdir=/etc:/srv", "device": "overlay"}}),
            "data: volume device=overlay, o=lowerdir=/etc:/srv, type=overlay",
        ),
        (
            volume({"driver_opts": {"type": "cifs", "o": "username=x,password=a b", "device": "//nas/share"}}),
            "data: volume device=//nas/share, o=username=x,password=[redacted], type=cifs",
        ),
        (
            web({"logging": {"driver": "syslog", "options": {"syslog-address": "tcp://10.0.0.9:514"}}}),
            "web: logging syslog syslog-address=tcp://10.0.0.9:514",
        ),
        (
            web({"logging": {"driver": "splunk", "options": {"splunk-token": "a", "splunk-url": "https://b"}}}),
            "web: logging splunk splunk-token=[redacted], splunk-url=https://b",
        ),
        (
            web({"devices": [{"source": "/dev/sda", "target": "/dev/x y", "permissions": "rwm"}]}),
            "web: devices permissions=rwm, source=/dev/sda, target=/dev/x y",
        ),
        (
            {"networks": {"n": {"driver_opts": {"parent": "eth0, eth1"}}}},
            "n: network parent=eth0, eth1",
        ),
        (web({"privileged": True}), "web: privileged"),
        (web({"cap_add": ["NET_ADMIN"]}), "web: cap_add NET_ADMIN"),
    ],
)
def test_who_grants_a_power_reads_its_values(model: dict[str, Any], reading: str) -> None:
    """What is typed to grant it has hashes of values; what is shown has the values, without those that are secret."""
    found = identities(POLICY.check(model, STACK), model)
    (identity,) = (identity for identity, text in found.items() if text == reading)
    assert re.search("[0-9a-f]{40}", named(identity)) or named(identity) == reading


def asked(kind: DeploymentKind = DeploymentKind.DEPLOY, **more: Any) -> DeploymentRequest:
    return DeploymentRequest("dev", kind, Actor(ActorKind.DISCORD, "1", "dora"), version="v1", **more)


IN_CHANNEL = {"interaction_id": "PLAN-1"}
HOTFIX = DeploymentKind.HOTFIX


@pytest.mark.parametrize("name", MODELS)
def test_each_power_is_given_by_whom_the_page_says(name: str) -> None:
    """A second person approves a draft; alone, a person names it, by a click or by what is printed; a hotfix never."""
    plan: Any = SimpleNamespace(new_powers=(name,), read=tuple)
    refuse_ungranted(asked(**IN_CHANNEL), plan, has_approvers=True)
    refuse_ungranted(asked(**IN_CHANNEL, granted=(name,)), plan, has_approvers=False)
    for refused in (asked(), asked(granted=(f"{name}x",)), asked(HOTFIX, **IN_CHANNEL), asked(HOTFIX)):
        with pytest.raises(NewPowersError) as caught:
            refuse_ungranted(refused, plan, has_approvers=refused.kind is HOTFIX)
    with pytest.raises(NewPowersError) as caught:
        refuse_ungranted(asked(), plan, has_approvers=True)
    *_, option, typed = shlex.split(str(caught.value.hint))
    assert option == "--grant"
    refuse_ungranted(replace(asked(), granted=(typed,)), plan, has_approvers=True)
