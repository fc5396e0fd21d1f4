"""A model says how each service is to be updated and judged, and survives being written and read."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roas.errors import ComposeFileError
from roas.models.stack import Dependency, DependencyCondition, DependencyKind, ServiceDefinition
from roas.stack.model.definitions import read_definitions
from roas.stack.model.durations import as_compose_writes, read_duration, write_duration
from roas.stack.model.services import INACTIVE, LIVE, OF_RELEASE, RECORDED, as_files_say
from roas.stack.model.text import read_model, read_resolved, write_model
from roas.stack.releases.pinning import pin


def definition(fields: dict[str, Any], **others: dict[str, Any]) -> ServiceDefinition:
    return read_definitions({"name": "p", "services": {"web": {"image": "x", **fields}, **others}})["web"]


def test_file_says_nothing_in_the_place_of_a_release() -> None:
    """Neither what its containers are, nor which powers somebody gave."""
    forged = dict.fromkeys(OF_RELEASE | {LIVE, "critical"}, "forged") | {"depends_on": {"db": {}}}
    model = {"services": {"web": {"x-deploy": forged}}, RECORDED: ["web: privileged"], "x-deploy": {INACTIVE: ["db"]}}
    kept = {"depends_on": {"db": {}}, "critical": "forged"}
    assert as_files_say(model) == {"services": {"web": {"x-deploy": kept}}, "x-deploy": {}}


@pytest.mark.parametrize("kind", ["secrets", "configs"])
def test_version_of_what_a_swarm_has_is_no_files_to_say(kind: str) -> None:
    """It would be another secret than the one that somebody gave."""
    model = {"services": {"web": {kind: [{"source": "password", "x-object": "theirs"}]}}}
    assert as_files_say(model) == {"services": {"web": {kind: [{"source": "password"}]}}}


@pytest.mark.parametrize("target", ["d:/data", "data", ""])
def test_target_that_no_container_can_have_is_refused(target: str) -> None:
    """Compose takes `d:/data` for a path of Windows: planned, it would fail in execution."""
    with pytest.raises(ComposeFileError, match="no absolute path"):
        definition({"volumes": [{"type": "volume", "target": target}]})
    assert definition({"volumes": [{"type": "volume", "target": "/data"}]}).name == "web"


def test_update_config_follows_specification() -> None:
    found = definition(
        {
            "deploy": {
                "replicas": 3,
                "update_config": {"order": "start-first", "monitor": "1m30s"},
                "rollback_config": {"order": "start-first"},
            },
            "healthcheck": {"test": ["CMD", "true"]},
            "x-deploy": {"critical": True},
            "pull_policy": "always",
        }
    )
    assert (found.replicas, found.start_first, found.rollback_start_first) == (3, True, True)
    assert (found.monitor_seconds, found.has_health_check, found.critical) == (90.0, True, True)
    assert (found.pull_policy, found.one_shot, found.built) == ("always", False, False)


@pytest.mark.parametrize(
    ("check", "has"),
    [
        (None, False),
        ({"disable": True}, False),
        ({"test": ["NONE"]}, False),
        ({"test": ["CMD", "x"]}, True),
        ({"interval": "1s"}, True),
    ],
)
def test_disabled_health_check_is_none(check: Any, has: bool) -> None:
    assert definition({"healthcheck": check}).has_health_check is has


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"container_name": "web"}, "the fixed name web"),
        ({"ports": [{"target": 80, "published": "8080"}]}, "the fixed host port 8080"),
        ({"ports": [{"target": 80}]}, ""),
        ({"ports": [{"target": 80, "published": "8000-8010"}]}, ""),
        ({"network_mode": "host"}, "the host's network"),
        ({"networks": {"n": {"ipv4_address": "10.0.0.2"}}}, "a fixed address"),
        ({"networks": {"n": None}}, ""),
    ],
)
def test_single_container_fields_named(fields: dict[str, Any], place: str) -> None:
    assert definition(fields).fixed_place == place


@pytest.mark.parametrize(
    ("fields", "built", "policy"),
    [
        ({"build": {"context": "."}}, True, "build"),
        ({"build": {"context": "."}, "pull_policy": "build"}, True, "build"),
        ({"build": {"context": "."}, "pull_policy": "always"}, False, "always"),
        ({}, False, "missing"),
    ],
)
def test_image_built_or_pulled(fields: dict[str, Any], built: bool, policy: str) -> None:
    found = definition(fields)
    assert (found.built, found.pull_policy) == (built, policy)


def test_completion_dependency_is_one_shot() -> None:
    waits = {"image": "x", "depends_on": {"web": {"condition": "service_completed_successfully"}}}
    assert definition({}, app=waits).one_shot
    assert not definition({"x-deploy": {"one_shot": False}}, app=waits).one_shot
    assert definition({"x-deploy": {"one_shot": True}}).one_shot


def test_job_runs_on_rollback_only_where_it_says_so() -> None:
    assert not definition({"x-deploy": {"one_shot": True}}).runs_on_rollback
    assert not definition({"x-deploy": {"on_rollback": "skip"}}).runs_on_rollback
    assert definition({"x-deploy": {"on_rollback": "run"}}).runs_on_rollback
    for wrong in (True, "yes", None, ["run"]):
        with pytest.raises(ComposeFileError, match="on_rollback: one of run, skip"):
            definition({"x-deploy": {"on_rollback": wrong}})


@pytest.mark.parametrize(
    ("fields", "may_end"),
    [
        ({"restart": "no", "deploy": {"restart_policy": {"condition": "any"}}}, False),
        ({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}, True),
        ({}, False),
        ({"restart": "no"}, True),
        ({"restart": "on-failure:3"}, True),
        ({"restart": "unless-stopped"}, False),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, True),
        ({"restart": "no", "healthcheck": {"test": ["CMD", "true"]}}, False),
        ({"restart": "no", "healthcheck": {"disable": True}}, True),
        ({"restart": "no", "x-deploy": {"one_shot": False}}, False),
    ],
)
def test_service_may_end_by_its_look(fields: dict[str, Any], may_end: bool) -> None:
    found = definition(fields)
    assert (found.may_end, found.one_shot) == (may_end, False)


@pytest.mark.parametrize("entry", [5, "required", ["kind"], True])
def test_dependency_that_is_no_mapping_is_an_error(entry: object) -> None:
    with pytest.raises(ComposeFileError, match=r"depends_on\.db: use \{…\}"):
        definition({"x-deploy": {"depends_on": {"db": entry}}}, db={"image": "x"})


def test_extension_overrides_dependency() -> None:
    found = definition(
        {
            "depends_on": {"db": {"condition": "service_healthy", "restart": True}, "log": {"required": False}},
            "x-deploy": {
                "depends_on": {
                    "db": {"startup_delay": "10s", "timeout": "1m", "probe": "tcp://db:5432"},
                    "cache": {"kind": "soft"},
                    "gone": {"kind": "optional"},
                }
            },
        },
        db={"image": "x"},
        log={"image": "x"},
        cache={"image": "x"},
    )
    assert found.dependencies == (
        Dependency("web", "cache", DependencyKind.SOFT),
        Dependency("web", "db", startup_delay_seconds=10, timeout_seconds=60, probe="tcp://db:5432", restart=True),
        Dependency("web", "log", DependencyKind.OPTIONAL, DependencyCondition.STARTED),
    )


def test_pinning_keeps_definition() -> None:
    model = {
        "name": "p",
        "services": {
            "web": {
                "build": {"context": "."},
                "depends_on": {"db": {"condition": "service_healthy", "required": True}},
                "x-deploy": {"critical": True, "depends_on": {"db": {"timeout": "5s"}}},
                "networks": {"default": None},
            },
            "db": {"image": "x", "volumes": [{"type": "volume", "source": "data", "target": "/d"}]},
        },
        "networks": {"default": {"name": "p_default"}, "unused": {"name": "p_unused"}},
        "volumes": {"data": {"name": "p_data"}},
    }
    pinned = pin(model, read_definitions(model), {"web": "sha256:1", "db": "sha256:2"})
    before, after = read_definitions(model), read_definitions(pinned)
    for name in ("web", "db"):
        assert after[name].dependencies == before[name].dependencies
        assert after[name].definition_hash == before[name].definition_hash
        assert after[name].critical == before[name].critical
    assert pinned["services"]["web"]["image"] == "roas/p-web:latest-1"
    assert pinned["services"]["web"]["x-deploy"]["image_id"] == "sha256:1"
    assert not {"build", "depends_on"} & pinned["services"]["web"].keys()
    assert pinned["networks"] == {"default": {"name": "p_default"}}
    assert pinned["volumes"] == {"data": {"name": "p_data"}}


def test_hash_covers_all_but_image() -> None:
    base = definition({}).definition_hash
    assert definition({"image": "y"}).definition_hash == base
    changes: list[dict[str, Any]] = [
        {"environment": {"A": "1"}},
        {"user": "1"},
        {"x-deploy": {"critical": True}},
        {"deploy": {"replicas": 2}},
    ]
    hashes = {definition(change).definition_hash for change in changes}
    assert len(hashes | {base}) == len(changes) + 1


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans() | st.none() | st.lists(TEXTS), max_size=5))
def test_model_roundtrip_unchanged(model: dict[str, Any]) -> None:
    assert read_model(write_model(model)) == model


@pytest.mark.parametrize("text", ["1e3", "007", "1:30", "yes", "null", "=", "2026-01-01", "~", "$$", "${X:-$Y}", "0x1"])
def test_text_stays_text(text: str) -> None:
    assert read_model(write_model({"a": text})) == {"a": text}
    assert '"' in write_model({"a": text})


def test_doubled_dollars_unescaped() -> None:
    assert read_resolved("a: $$b\nc$$d: 2026-01-01\ne: =\n") == {"a": "$b", "c$d": "2026-01-01", "e": "="}


def test_negative_sizes_are_numbers() -> None:
    """Compose writes them as texts, and does not read those."""
    sizes = {"memswap_limit": "-1", "mem_swappiness": "-1", "mem_limit": "64", "hostname": "-1"}
    text = yaml.safe_dump({"services": {"a": {**sizes, "build": {"shm_size": "-1"}}, "b": None}})
    read = {"memswap_limit": -1, "mem_swappiness": -1, "mem_limit": "64", "hostname": "-1", "build": {"shm_size": -1}}
    assert read_resolved(text) == {"services": {"a": read, "b": None}}


def test_broken_model_error_hides_content() -> None:
    with pytest.raises(ComposeFileError) as caught:
        read_model("password: hunter2\n  bad: [")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), (7, 7), ("100ns", 1e-7)]
)
def test_duration_parsed(text: object, seconds: float) -> None:
    assert read_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0s", "500ms", "1s", "1.5s", "59s", "1m0s", "1m30s", "1h0m0s", "2h0m0.5s", "25h1m1s"])
def test_duration_is_written_as_compose_does(text: str) -> None:
    assert as_compose_writes(read_duration(text)) == text


def test_duration_in_nanoseconds_is_exact() -> None:
    assert read_duration("30000000000ns") == read_duration("30s") == 30


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "-1s", True, None])
def test_invalid_duration_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        read_duration(text)


@given(st.floats(min_value=0, max_value=10_000_000).map(lambda value: round(value, 2)))
def test_duration_roundtrip_unchanged(seconds: float) -> None:
    assert read_duration(write_duration(seconds)) == pytest.approx(seconds)
