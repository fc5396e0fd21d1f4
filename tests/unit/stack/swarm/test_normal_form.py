"""Specs are the same where they mean the same, whatever Swarm adds and whichever ids it gives."""

import pytest

from roas.stack.swarm.normal_form import NONCE, content_name, differing_keys, spec_hash
from roas.stack.swarm.tasks.tasks import digest_of_image

SENT = {
    "Name": "stack_web",
    "Labels": {"a": "b"},
    "TaskTemplate": {
        "ContainerSpec": {"Image": "web:1", "Env": ["A=1"], "Configs": [{"ConfigName": "c", "ConfigID": ""}]},
        "Networks": [{"Target": "stack_default"}],
    },
    "Mode": {"Global": {}},
}
NETWORKS = {"n1": "stack_default"}


def test_what_swarm_adds_makes_no_difference() -> None:
    """Empty parts, defaults, ids, and what belongs to a single write."""
    container = {**SENT["TaskTemplate"]["ContainerSpec"], "Isolation": "default", "Init": False, "DNSConfig": {}}
    container["Configs"] = [{"ConfigName": "c", "ConfigID": "id"}]
    live = {
        **SENT,
        "Labels": {"a": "b", NONCE: "123"},
        "TaskTemplate": {
            "ContainerSpec": container,
            "Networks": [{"Target": "n1"}],
            "ForceUpdate": 3,
            "Runtime": "container",
            "Placement": {},
        },
    }
    assert spec_hash(live, NETWORKS) == spec_hash(SENT, NETWORKS)
    assert differing_keys(live, SENT, NETWORKS) == ()


def test_what_somebody_changed_is_named() -> None:
    """By the part, never by a value."""
    container = {**SENT["TaskTemplate"]["ContainerSpec"], "Env": ["A=2"]}
    live = {
        **SENT,
        "TaskTemplate": {**SENT["TaskTemplate"], "ContainerSpec": container},
        "Mode": {"Replicated": {"Replicas": 0}},
    }
    assert differing_keys(live, SENT, NETWORKS) == ("ContainerSpec.Env", "Mode")


@pytest.mark.parametrize("key", ["Command", "Args"])
def test_words_of_a_command_stand_in_their_order(key: str) -> None:
    """`cp new old` is not `cp old new`: taken for the same, the tasks before would be those of the write."""
    one, other = ({"ContainerSpec": {key: words}} for words in (["cp", "new", "old"], ["cp", "old", "new"]))
    assert spec_hash(one, {}) != spec_hash(other, {})
    assert differing_keys({"TaskTemplate": one}, {"TaskTemplate": other}, {}) == (f"ContainerSpec.{key}",)


def test_order_of_what_is_a_set_makes_no_difference() -> None:
    """Docker's own commands sort what they write."""
    one, other = ({"ContainerSpec": {"Env": list(words)}} for words in ("AB", "BA"))
    assert spec_hash(one, {}) == spec_hash(other, {})


def test_no_replicas_is_no_missing_number() -> None:
    """A service that is scaled to nothing is not one with the default."""
    none, unsaid = {"Mode": {"Replicated": {"Replicas": 0}}}, {"Mode": {"Replicated": {}}}
    assert spec_hash(none, {}) != spec_hash(unsaid, {})


def test_names_of_contents_fit_into_swarms_limit() -> None:
    """63 letters, the end of which says the content."""
    name = content_name("a" * 40, "b c" * 20, "0123456789abcdef")
    assert len(name) <= 63
    assert name.endswith("-0123456789ab")
    assert " " not in name


def test_digest_is_taken_without_the_tag() -> None:
    """A port of a registry is no tag."""
    assert digest_of_image("r:5000/web:1@sha256:ab") == "r:5000/web@sha256:ab"
    assert digest_of_image("r:5000/web@sha256:ab") == "r:5000/web@sha256:ab"
    assert digest_of_image("web:1") == "web:1"
