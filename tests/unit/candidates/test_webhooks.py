"""Webhooks: real payloads, wrong signatures, replays, downgrades and generated bodies; nothing is believed."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from roas.candidates.source_secrets import SourceSecrets
from roas.candidates.webhooks import Webhooks
from roas.configuration.tables import AppSettings, SourceSettings
from roas.errors import SettingsError
from roas.models.candidate import SourceKind

PAYLOADS = Path(__file__).parent / "payloads"
SECRET, KEY = "a-long-random-secret", base64.b64encode(b"a signing key of gitlab").decode()
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


class Hooks:
    """Take deliveries as a source sends them, and keep what is stored."""

    def __init__(self, folder: Path) -> None:
        (folder / "secret").write_text(f"{SECRET}\n")
        (folder / "key").write_text(f"whsec_{KEY}\n")
        plain = {"secret_file": folder / "secret", "branches": ("main", "master", "release/*")}
        images = ("registry.example.org/acme/web", "ghcr.io/codertocat/hello-world", "redis")
        self.sources = {
            kind.value: SourceSettings(kind=kind, repository="Codertocat/Hello-World", images=images, **plain)
            for kind in SourceKind
        }
        self.sources["gitlab19"] = SourceSettings(
            kind=SourceKind.GITLAB,
            signing_key_file=folder / "key",
            secret_file=folder / "secret",
            repository="acme/shop",
        )
        self.sources["bare"] = SourceSettings(kind=SourceKind.GITHUB)
        self.stored, self.useless = {}, []
        self.woken, self.is_full = 0, False
        self.webhooks = Webhooks(self.sources, self.store, self.wake)

    async def store(self, delivery):
        if self.is_full:
            raise OSError("the disk is full")
        if delivery.is_handled:
            self.useless.append(delivery.note)
            return True
        is_new = (delivery.source, delivery.id) not in self.stored
        self.stored.setdefault((delivery.source, delivery.id), delivery)
        return is_new

    def wake(self):
        self.woken += 1

    @property
    def hints(self):
        return [delivery.hint for delivery in self.stored.values()]

    async def send(self, source, body, headers=None, path=""):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.webhooks.take(source, path, headers or {}, raw)

    async def github(self, event, body, *, delivery="d-1", secret=SECRET, source="github", content="application/json"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = "sha256=" + hmac.digest(secret.encode(), raw, "sha256").hex()
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature}
        headers["Content-Type"] = content
        return await self.send(source, raw, headers)


@pytest.fixture
def hooks(tmp_path):
    return Hooks(tmp_path)


def payload(name):
    return json.loads((PAYLOADS / name).read_text())


GITHUB = [
    ("ping", "ping.json", {}, "pong"),
    ("push", "push.json", {}, "deleted"),
    ("push", "push.with-new-branch.json", {"commit": SHA, "ref": "refs/heads/master", "forced": None}, ""),
    ("workflow_run", "workflow_run.completed.json", {}, "another repository"),
    ("release", "release.published.json", {"tag": "0.0.1", "ref": "refs/tags/0.0.1"}, ""),
    ("release", "release.prereleased.json", {}, "not published"),
    ("registry_package", "registry_package.published.docker.json", {}, "another repository"),
    ("package", "package.published.docker.json", {}, "another repository"),
    ("deployment", "deployment.json", {}, "no use"),
    ("deployment_status", "deployment_status.json", {}, "no use"),
]


@pytest.mark.parametrize(("event", "name", "hint", "reason"), GITHUB, ids=[name for _event, name, *_ in GITHUB])
async def test_payload_of_github(hooks, event, name, hint, reason):
    status, delivery, note = await hooks.github(event, payload(name))
    assert (status, delivery) == (202, "d-1")
    assert reason in note
    assert hooks.useless == ([note] if reason else [])
    assert [{key: found.get(key) for key in hint} for found in hooks.hints] == ([hint] if hint else [])


async def test_form_of_github(hooks):
    """Which GitHub selects by itself: the same payload, signed as it is sent."""
    form = urlencode({"payload": json.dumps(payload("push.with-new-branch.json"))}).encode()
    content = "application/x-www-form-urlencoded; charset=utf-8"
    assert "Taken" in (await hooks.github("push", form, content=content))[2]
    assert hooks.hints[0]["commit"] == SHA
    for number, wrong in enumerate((b"", b"payload=", b"payload=%ff", b"a=1&" * 20, b"payload=[" + b"[" * 100_000)):
        status, _delivery, note = await hooks.github("push", wrong, delivery=f"w-{number}", content=content)
        assert (status, note) == (202, "It is not written as its kind of source writes.")
    assert (await hooks.github("push", form, content=content, secret="another"))[0] == 401
    assert len(hooks.stored) == 1


async def test_json_of_a_program_that_names_no_content_type(hooks):
    """`curl -d` and Python's own client call it a form."""
    body = json.dumps(payload("push.with-new-branch.json")).encode()
    assert "Taken" in (await hooks.github("push", body, content="application/x-www-form-urlencoded"))[2]


RECORDED = json.loads((PAYLOADS / "of_others.json").read_text())


@pytest.mark.parametrize("sent", RECORDED, ids=lambda sent: sent["from"])
async def test_payload_of_others(hooks, tmp_path, sent):
    """As it was recorded, where each says from where, and signed as its sender does."""
    kind, body, raw = SourceKind(sent["kind"]), sent["body"], json.dumps(sent["body"]).encode()
    named = body.get("project") or body.get("repository")
    project = named if isinstance(named, dict) else {}
    own = SourceSettings(
        kind=kind,
        repository=project.get("path_with_namespace") or project.get("full_name"),
        images=tuple(hint["image"] for hint in sent["hints"] if "image" in hint),
        branches=("*",),
        secret_file=tmp_path / "secret",
    )
    hooks.webhooks = Webhooks({kind.value: own}, hooks.store, hooks.wake)
    signature = hmac.digest(SECRET.encode(), raw, "sha256").hex()
    signed = {"X-Gitlab-Token": SECRET, "Authorization": SECRET}
    signed |= {"X-Forgejo-Signature": signature, "X-Gitea-Signature": signature}
    assert (await hooks.send(kind.value, raw, sent["headers"], path="guessed"))[0] == 401
    status, delivery, note = await hooks.send(kind.value, raw, sent["headers"] | signed, path=SECRET)
    assert (status, note) == (202, "Taken: the bot looks for what it tells of.")
    assert delivery == sent.get("delivery", delivery)
    found = [
        {key: hint.get(key) for key in expected} for hint, expected in zip(hooks.hints, sent["hints"], strict=True)
    ]
    assert found == sent["hints"]


async def test_changed_payloads_of_github(hooks):
    run = payload("workflow_run.completed.json")
    run["repository"]["full_name"] = "codertocat/hello-world"
    await hooks.github("workflow_run", run, delivery="run")
    assert hooks.hints[0]["commit"] == run["workflow_run"]["head_sha"]
    run["workflow_run"]["conclusion"] = "failure"
    assert "not succeeded" in (await hooks.github("workflow_run", run, delivery="failed"))[2]
    package = payload("package.published.docker.json") | {"repository": run["repository"]}
    assert "names no tag" in (await hooks.github("package", package, delivery="untagged"))[2]
    package["package"]["package_version"]["container_metadata"]["tag"]["name"] = "v2"
    await hooks.github("package", package, delivery="package")
    assert hooks.hints[1] == {"image": "ghcr.io/codertocat/hello-world", "tag": "v2"}
    other = payload("push.with-new-branch.json") | {"ref": "refs/heads/feature"}
    assert "another branch" in (await hooks.github("push", other, delivery="other"))[2]
    forced = payload("push.with-new-branch.json") | {"forced": True}
    await hooks.github("push", forced, delivery="forced")
    assert hooks.hints[2]["forced"] == "True"
    assert len(hooks.stored) == 3


async def test_wrong_signatures_and_unknown_sources_refused(hooks):
    body = payload("push.with-new-branch.json")
    raw = json.dumps(body).encode()
    good = hmac.digest(SECRET.encode(), raw, "sha256").hex()
    sha1 = hmac.digest(SECRET.encode(), raw, "sha1").hex()
    for source, headers in (
        ("github", {}),
        ("github", {"X-Hub-Signature-256": ""}),
        ("github", {"X-Hub-Signature-256": good}),
        ("github", {"X-Hub-Signature-256": f"sha256={good[:-1]}"}),
        ("github", {"X-Hub-Signature-256": f"sha256={good.upper()}"}),
        ("github", {"X-Hub-Signature": f"sha1={sha1}"}),
        ("github", {"X-Gitlab-Token": SECRET, "Authorization": SECRET}),
        ("github", {"X-Hub-Signature-256": "sha256=\N{SNOWMAN}"}),
        ("bare", {"X-Hub-Signature-256": "sha256=" + hmac.digest(b"", raw, "sha256").hex()}),
        ("ci", {"X-Hub-Signature-256": f"sha256={good}"}),
        ("nobody", {"X-Hub-Signature-256": f"sha256={good}"}),
        ("gitlab", {"X-Gitlab-Token": "wrong"}),
        ("gitlab", {}),
        ("forgejo", {"X-Forgejo-Signature": "sha256=" + good[:-1]}),
        ("forgejo", {"X-Forgejo-Signature": "", "X-Gitea-Signature": ""}),
        ("harbor", {"Authorization": ""}),
        ("registry", {"Authorization": f"bearer {SECRET}"}),
        ("docker_hub", {}),
        ("quay", {"Authorization": SECRET}),
    ):
        assert (await hooks.send(source, raw, headers))[0] == 401, (source, headers)
    assert (await hooks.github("push", body, secret="another"))[0] == 401
    assert (await hooks.send("docker_hub", raw, {}, path="guessed"))[0] == 401
    assert hooks.stored == {}
    assert hooks.woken == 0


def standard(body, *, sent_id="msg_1", at=None, key=KEY, version="v1"):
    """Sign as GitLab 19 does."""
    moment = str(int(time.time()) if at is None else at)
    signed = f"{sent_id}.{moment}.".encode() + body
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), signed, hashlib.sha256)).decode()
    return {
        "webhook-id": sent_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(b'rotated').decode()} {version},{signature}",
        "X-Gitlab-Event": "Push Hook",
    }


async def test_both_forms_of_gitlab(hooks):
    push = {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "after": SHA,
        "checkout_sha": SHA,
        "project": {"path_with_namespace": "acme/shop", "web_url": "https://gitlab.example.org/acme/shop"},
    }
    raw = json.dumps(push).encode()
    assert (await hooks.send("gitlab19", raw, standard(raw)))[:2] == (202, "msg_1")
    for wrong in (
        {"X-Gitlab-Token": SECRET},  # the old form is no way around the new one
        standard(raw, at=time.time() - 3600),
        standard(raw, at=time.time() + 3600),
        standard(raw, key=base64.b64encode(b"another").decode()),
        standard(raw, version="v2"),
        standard(raw) | {"webhook-id": "msg_2"},
        standard(raw) | {"webhook-timestamp": "soon"},
        standard(raw) | {"webhook-timestamp": "9" * 400},
        standard(raw + b" "),
        standard(raw, sent_id=""),
    ):
        assert (await hooks.send("gitlab19", raw, wrong))[0] == 401, wrong
    assert len(hooks.stored) == 1
    push["project"]["path_with_namespace"] = "Codertocat/Hello-World"
    old = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event-UUID": "u-1"}
    assert (await hooks.send("gitlab", push, old))[:2] == (202, "u-1")
    pipeline = {
        "object_kind": "pipeline",
        "object_attributes": {"status": "success", "tag": False, "ref": "main", "sha": SHA, "url": "https://x/p/1"},
        "project": push["project"],
    }
    await hooks.send("gitlab", pipeline, old | {"X-Gitlab-Event-UUID": "u-2"})
    assert hooks.hints[-1] == {"commit": SHA, "ref": "refs/heads/main", "url": "https://x/p/1"}
    pipeline["object_attributes"]["status"] = "failed"
    assert "not succeeded" in (await hooks.send("gitlab", pipeline, old | {"X-Gitlab-Event-UUID": "u-3"}))[2]


async def test_forgejo_and_gitea_sign_in_bare_hex(hooks):
    raw = json.dumps(payload("push.with-new-branch.json")).encode()
    bare = hmac.digest(SECRET.encode(), raw, "sha256").hex()
    for source, headers in (
        ("forgejo", {"X-Forgejo-Signature": bare, "X-Forgejo-Delivery": "f-1", "X-Forgejo-Event": "push"}),
        ("forgejo", {"X-Gitea-Signature": bare, "X-Gitea-Delivery": "f-2", "X-Gitea-Event": "push"}),
        ("gitea", {"X-Hub-Signature-256": f"sha256={bare}", "X-Gitea-Delivery": "g-1", "X-Gitea-Event": "push"}),
    ):
        assert (await hooks.send(source, raw, headers))[0] == 202, headers
    assert [hint["commit"] for hint in hooks.hints] == [SHA] * 3


async def test_registries_say_what_was_pushed(hooks):
    def pushed(tag, repository="acme/web", action="push"):
        return {"action": action, "target": {"repository": repository, "tag": tag, "digest": "sha256:not-believed"}}

    useless = [pushed("v4", action="pull"), pushed("v5", "acme/other"), pushed("")]
    events = {"events": [pushed("v2"), pushed("v3"), *useless]}
    bearer = {"Authorization": f"Bearer {SECRET}"}
    assert (await hooks.send("registry", events, bearer))[0] == 202
    web = "registry.example.org/acme/web"
    assert hooks.hints == [{"image": web, "tag": "v2"}, {"image": web, "tag": "v3"}]
    harbor = {
        "type": "PUSH_ARTIFACT",
        "event_data": {"resources": [{"tag": "v6"}], "repository": {"repo_full_name": "acme/web"}},
    }
    assert (await hooks.send("harbor", harbor, {"Authorization": SECRET}))[0] == 202
    hub = {"push_data": {"tag": "7"}, "repository": {"repo_name": "library/redis"}}
    assert (await hooks.send("docker_hub", hub, {}, path=SECRET))[0] == 202
    quay = {"docker_url": "quay.io/acme/web", "updated_tags": ["v8", "bad tag!", "v9"]}
    assert (await hooks.send("quay", quay, {}, path=SECRET))[0] == 202
    assert [(hint["image"], hint["tag"]) for hint in hooks.hints[2:]] == [
        (web, "v6"),
        ("redis", "7"),
        (web, "v8"),
        (web, "v9"),
    ]


async def test_redelivery_is_seen_once_it_is_stored(hooks):
    body = payload("push.with-new-branch.json")
    hooks.is_full = True
    with pytest.raises(OSError, match="full"):
        await hooks.github("push", body)
    hooks.is_full = False
    assert "Taken" in (await hooks.github("push", body))[2]
    assert "known already" in (await hooks.github("push", body))[2]
    assert len(hooks.stored) == 1


def test_secret_that_cannot_be_read_stops_the_bot(tmp_path):
    (tmp_path / "empty").write_text("\n")
    for wrong in ({"secret_file": tmp_path / "none"}, {"secret_file": tmp_path / "empty"}):
        with pytest.raises(SettingsError):
            Webhooks({"x": SourceSettings(kind=SourceKind.GITHUB, **wrong)}, lambda _one: True, lambda: None)


def test_every_file_of_a_source_is_learned_as_a_secret(tmp_path):
    """Whatever names a file in the settings of a source is never shown: one that is added counts without a word."""
    files = {}
    for name in ("secret_file", "signing_key_file", "forge_token_file", "key_file"):
        files[name] = tmp_path / name
        files[name].write_text(f"whsec_{base64.b64encode(name.encode()).decode()}")
    kinds = {SourceKind.GITLAB: ("signing_key_file", "secret_file", "forge_token_file"), SourceKind.GITHUB: ()}
    for kind, names in kinds.items():
        app = AppSettings(id=1, key_file=files["key_file"]) if not names else None
        settings = SourceSettings(kind=kind, app=app, **{name: files[name] for name in names})
        expected = {files[name].read_text() for name in (*names, *(["key_file"] if app else []))}
        assert set(SourceSecrets("x", settings).texts) == expected
    declared = {*SourceSettings.model_fields, *AppSettings.model_fields}
    assert {name for name in declared if name.endswith("_file")} == files.keys()


DEEP = b'{"a":' * 300 + b"1" + b"}" * 300
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "action",
                    "ref",
                    "after",
                    "deleted",
                    "repository",
                    "full_name",
                    "workflow_run",
                    "release",
                    "package",
                    "events",
                    "target",
                    "tag",
                    "project",
                    "object_kind",
                    "object_attributes",
                    "push_data",
                    "updated_tags",
                    "docker_url",
                    "type",
                    "event_data",
                    "resources",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
EVENTS = st.sampled_from(["push", "workflow_run", "release", "package", "ping", "x"])
HUGE_NUMBER = b'{"repository": {"full_name": "Codertocat/Hello-World"}, "ref": "refs/heads/main", "after": 1e999}'
FIXTURE_KEPT = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=100, **FIXTURE_KEPT)
@given(body=BODIES, event=EVENTS)
@example(body=DEEP, event="push")
@example(body=b"[" * 100_000, event="push")
@example(body=HUGE_NUMBER, event="push")
async def test_generated_bodies_do_no_harm(hooks, body, event):
    await nothing_comes_of(hooks, body, event)


@pytest.mark.long
@settings(max_examples=1250, **FIXTURE_KEPT)
@given(body=BODIES, event=EVENTS)
async def test_many_generated_bodies_do_no_harm(hooks, body, event):
    """1,250 bodies, each sent to a source of each kind: eight kinds read it, which makes 10,000 deliveries."""
    await nothing_comes_of(hooks, body, event)


async def nothing_comes_of(hooks, body, event):
    """Signed as they should be, for every kind of source."""
    signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
    headers = {
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Event": event,
        "X-Forgejo-Event": event,
        "X-Forgejo-Signature": signature,
        "X-Gitea-Event": event,
        "X-Gitlab-Token": SECRET,
        "Authorization": SECRET,
    }
    for kind in SourceKind:
        status, _delivery, note = await hooks.send(kind.value, body, headers, path=SECRET)
        assert status == (401 if kind in {SourceKind.CI, SourceKind.GIT} else 202)
        assert note
    assert hooks.stored == {}
