"""A sample of the hostile corpus, and each rule undone: then the corpus must find the hole."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roas.models.environment import Environment
from roas.stack.model.service_keys import KeyPolicy
from roas.stack.policy import keys as policy_keys
from roas.stack.policy.keys import KEYS
from roas.stack.policy.places import Places
from testbed.cache import recipe_hash
from tests.integration.stack.policy.compose_answers import remembered_answers
from tools.campaigns.hostile import judge as judge_module
from tools.campaigns.hostile.corpus import PLAIN, Case, cases, cases_of_every_key
from tools.campaigns.hostile.every_key import JUDGED_ELSEWHERE, NOTHING_HOSTILE, every_key, reached, schema_keys
from tools.campaigns.hostile.judge import Judged, Verdict, judge, judge_taken
from tools.campaigns.hostile.values import HOSTILE

REFUSED = Verdict.REFUSED


@pytest.fixture(scope="module", autouse=True)
def _known_answers() -> Iterator[None]:
    """Ask Compose about each file once for all runs: it says the same again, wherever the stack's folder is."""
    ask = judge_module.ask_compose
    with remembered_answers(Path(judge_module.__file__), "hostile", afresh=False) as answers:

        def known(environment: Environment) -> subprocess.CompletedProcess[str]:
            folder = str(environment.folder.parent)

            def asked() -> list[str | int]:
                done = ask(environment)
                return [done.returncode, *(said.replace(folder, "{folder}") for said in (done.stdout, done.stderr))]

            text = environment.compose_files[0].read_text()
            code, *said = answers.of(recipe_hash(text), asked)
            return subprocess.CompletedProcess((), code, *(item.replace("{folder}", folder) for item in said))

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(judge_module, "ask_compose", known)
            yield


@pytest.fixture(scope="module")
def plainly(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    """Judge the plain spelling of every case: which of them Compose takes depends on no rule of ours."""
    return list(judge([case for case in cases(1) if case.spelled == PLAIN], tmp_path_factory.mktemp("plainly") / "all"))


def test_nothing_hostile_passes(plainly: list[Judged], tmp_path: Path) -> None:
    """Three of the spellings, of which one is the plain one; `python -m tools.campaigns.hostile` has them all."""
    judged = [*plainly, *judge(cases(5, spelled=2), tmp_path)]
    assert [item for item in judged if item.is_wrong] == []
    refused = {service.case.key for service in judged if service.case.hostile and service.verdict is Verdict.REFUSED}
    assert refused == {item.case.key for item in judged if item.case.hostile}
    assert sum(service.verdict is Verdict.PASSED for service in judged) > 100


def holes(key: str, plainly: list[Judged], folder: Path) -> list[Judged]:
    """Return what of a key passes now that was refused."""
    refused = [
        judged.case
        for judged in plainly
        if judged.case.key == key and judged.case.hostile and judged.verdict is REFUSED
    ]
    return [item for item in judge_taken(refused, folder) if item.is_wrong]


ON_REQUEST = sorted(path for path, judgement in KEYS.items() if judgement is KeyPolicy.ON_REQUEST)
UNDONE_KEYS = sorted({f"services.{path.split('.')[2]}" for path in ON_REQUEST if path.count(".") == 2})


@pytest.mark.parametrize("key", [key for key in UNDONE_KEYS if HOSTILE.get(key)])
def test_an_undone_key_is_found(
    key: str, plainly: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key.replace("services.", "services.*.")
    monkeypatch.setattr(policy_keys, "KEYS", {**KEYS, path: KeyPolicy.CONTAINED})
    assert holes(key, plainly, tmp_path)


UNDONE = {
    "policy.rules.LOGGING_DRIVERS": (
        "services.logging",
        frozenset({"syslog", "fluentd", "gelf", "splunk", "awslogs"}),
    ),
    "policy.rules.LOGGING_OPTIONS": ("services.logging", frozenset({"syslog-address", "cache-disabled"})),
    "model.power_values.OWN_SYSCTLS": ("services.sysctls", ("",)),
    "model.power_values.OWN_LIMITS": ("services.ulimits", frozenset({"rtprio", "nice"})),
    "policy.rules.MOUNT_TYPES": ("services.volumes", frozenset({"image", "cluster", "bind", "volume"})),
    "policy.rules.OWN_PROPAGATION": ("services.volumes", frozenset({"", "rshared"})),
    "policy.rules.COMPOSE_PREFIX": ("services.labels", "nothing.has.this."),
    "policy.resources.VOLUME_DRIVERS": ("volumes", frozenset({"", "local", "vieux/sshfs"})),
    "policy.resources.NETWORK_DRIVERS": ("networks", frozenset({"", "bridge", "macvlan", "ipvlan"})),
    "policy.resources.ADDRESS_DRIVERS": ("networks", frozenset({"", "default", "vendor/ipam"})),
    "policy.rules.NETWORK_MODES": ("services.network_mode", frozenset({"", "prod_default"})),
    "model.power_values.OF_OTHERS": ("services.pid", ()),
    "model.power_values.HARMLESS_SECURITY_OPTIONS": ("services.security_opt", frozenset({"seccomp:unconfined"})),
    "policy.rules.BUILD_NETWORKS": ("services.build", frozenset({"", "host"})),
}


@pytest.mark.parametrize("rule", UNDONE)
def test_an_undone_value_is_found(
    rule: str, plainly: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, allowed = UNDONE[rule]
    monkeypatch.setattr(f"roas.stack.{rule}", allowed)
    assert holes(key, plainly, tmp_path)


@pytest.mark.parametrize("rule", ["judge_bind", "judge_withheld", "judge_read"])
def test_an_undone_place_is_found(
    rule: str, plainly: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places, rule, lambda *_args, **_named: iter(()))
    keys = {"judge_bind": "secrets", "judge_withheld": "configs", "judge_read": "services.volumes"}
    assert holes(keys[rule], plainly, tmp_path)


def test_every_key_of_the_schema_is_attacked() -> None:
    """A key has hostile values, values of every kind, a test of its own, or a reason why there is nothing to attack."""
    attacked = reached(HOSTILE) | {path for path, *_ in every_key()}
    told = attacked | JUDGED_ELSEWHERE.keys() | NOTHING_HOSTILE.keys()
    root = Path(__file__).parents[3]
    assert all((root / test).is_file() for test in JUDGED_ELSEWHERE.values())
    missing = [
        path
        for path, _ in schema_keys()
        if path not in told
        and not any(other.startswith(f"{path}.") for other in attacked)
        and not any(path.startswith(f"{other}.") for other in JUDGED_ELSEWHERE)
    ]
    assert missing == []
    assert len(attacked) > 300


# Few keys here; `python -m tools.campaigns.hostile` has all of them.
SAMPLE = ("services.*.links", "services.*.runtime", "services.*.networks", "services.*.stop_signal")


def of_sample() -> list[Case]:
    every = [case for case in cases_of_every_key(1, spelled=1) if case.path.startswith(SAMPLE)]
    return every[::7]


def test_every_key_stays_what_it_is(tmp_path: Path) -> None:
    judged = list(judge(of_sample(), tmp_path))
    assert [item for item in judged if item.is_wrong] == []
    assert {service.verdict for service in judged if service.case.contained} >= {Verdict.PASSED}
    assert {service.verdict for service in judged if service.case.hostile} >= {Verdict.REFUSED}


def test_a_key_that_becomes_another_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose makes an order of starting of links: were that a power, the corpus would say so."""
    case = Case("c1x", "services.links", ["base"], PLAIN, hostile=False, path="services.*.links", contained=True)
    assert [service.verdict for service in judge([case], tmp_path / "known")] == [Verdict.PASSED]
    monkeypatch.setattr("tools.campaigns.hostile.judge.MADE_OF", {})
    assert [item.is_wrong for item in judge([case], tmp_path / "unknown")] == [True]


def test_an_undone_key_of_a_network_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "services.*.networks.*.driver_opts"
    chosen = [case for case in cases_of_every_key(1, spelled=1) if case.path == path and case.spelled == PLAIN]
    assert not [item for item in judge(chosen, tmp_path / "done") if item.is_wrong]
    monkeypatch.setattr(policy_keys, "KEYS", {**KEYS, path: KeyPolicy.CONTAINED})
    assert [item for item in judge(chosen, tmp_path / "undone") if item.is_wrong]
