"""Each image that a Dockerfile begins with is known before it is built, however it is written."""

import json
from fnmatch import fnmatchcase

import pytest

from roas.errors import ComposeFileError
from roas.stack.images.base_images import (
    BaseImages,
    context_key,
    read_bases,
    read_frontend,
    source_policy,
    with_bases,
)
from roas.stack.images.reference import is_frontend

NAMED = {
    "FROM a:1": ("a:1",),
    "from a:1 as b\nFROM b\nCOPY --from=b /x /x\nCOPY --from=c:2 /x /x": ("a:1", "c:2"),
    "FROM a AS b\nFROM B": ("a",),
    "ARG V=1\nARG W=${V}.2\nFROM a:$W": ("a:1.2",),
    "ARG V\nFROM a:${V:-3}": ("a:3",),
    "ARG V=1\nFROM a:${V:+x}\nARG V=5": ("a:x",),
    "ARG GIVEN=1 OTHER=2\nFROM a:${GIVEN}-${OTHER}": ("a:9-2",),
    "FROM scratch\nCOPY --from=0 / /": (),
    "# escape=`\nFROM `\n  a:1": ("a:1",),
    "FROM \\\n# why\n  a:1": ("a:1",),
    "FROM a\nRUN --mount=type=bind,from=c:2,target=/c x": ("a", "c:2"),
    "FROM a\nRUN <<END\nFROM no\nEND\nCOPY --from=c /x /x": ("a", "c"),
    'FROM a\nRUN echo "<<END"\nFROM c\nEND': ("a", "c"),
    "FROM a\nRUN echo a<<END\nFROM c\nEND": ("a", "c"),
    "FROM a\nRUN 3<<-'END' x\nFROM no\nEND\nFROM c": ("a", "c"),
    "FROM a\nONBUILD COPY --from=c /x /x": ("a", "c"),
    "FROM a\nLABEL x='$(FROM)'": ("a",),
    "": (),
}


@pytest.mark.parametrize(("text", "names"), NAMED.items())
def test_bases_are_read_as_buildkit_reads_them(text: str, names: tuple[str, ...]) -> None:
    assert read_bases(text, {"GIVEN": "9"}) == BaseImages(names)


FRONTENDS = {
    "# syntax=a/b:1\nFROM x": "a/b:1",
    "#syntax = a/b:1 --told \nFROM x": "a/b:1 --told",
    "#!/bin/sh\n# escape=`\n# SYNTAX=a/b:1": "a/b:1",
    "// syntax=a/b:1\nx": "a/b:1",
    "# a=b\x0bc\r\n# syntax=a/b:1\r\n": "a/b:1",
    '{"syntax": "a/b:1"}': "a/b:1",
    "\ufeff#!/bin/sh\n# syntax=a/b:1": "a/b:1",
    "# why\n# syntax=a/b:1\nFROM x": "",
    "\n# syntax=a/b:1": "",
    "FROM x\n# syntax=a/b:1": "",
}


@pytest.mark.parametrize(("text", "frontend"), FRONTENDS.items())
def test_frontend_is_found_as_buildkit_finds_it_and_pinned(text: str, frontend: str) -> None:
    assert read_frontend(text, {}) == frontend
    assert read_frontend(text, {"BUILDKIT_SYNTAX": "c:1"}) == "c:1"
    section = {"dockerfile_inline": text, "args": {"BUILDKIT_SYNTAX": None}}
    wanted = frontend.replace(":1", "@sha256:1") or None
    assert with_bases(section, {"a/b:1": "a/b@sha256:1"})["args"] == {"BUILDKIT_SYNTAX": wanted}


DOCKERS = {
    **dict.fromkeys(("docker/dockerfile", "docker.io/docker/dockerfile:1", "docker/dockerfile:1.7-labs"), True),
    **dict.fromkeys((f"docker/dockerfile:1@sha256:{'a' * 64}", "docker/dockerfile-upstream:master"), True),
    **dict.fromkeys(("docker/dockerfile:1.10", "docker/dockerfile:1.4"), True),
    # BuildKit refuses to give these the images that were pinned; the first know no caches of a project's own.
    **dict.fromkeys(("docker/dockerfile:1.0", "docker/dockerfile:1.0.0-experimental", "docker/dockerfile:1.3"), False),
    **dict.fromkeys(("docker/dockerfile-other:1", "docker.io:443/docker/dockerfile:1", "dockerfile", "a/b:1"), False),
}


@pytest.mark.parametrize(("name", "is_dockers"), DOCKERS.items())
def test_frontend_of_docker_is_known(name: str, is_dockers: bool) -> None:
    assert is_frontend(name) is is_dockers


HUB = "docker-image://docker.io"
DIGEST = f"sha256:{'a' * 64}"
# By Dockerfile: what BuildKit would fetch for it, and whether it may.
FETCHED = [
    ("FROM a:1", f"{HUB}/library/a:1", True),
    ("FROM a", f"{HUB}/library/a:latest@{DIGEST}", True),
    ("FROM a:1", f"{HUB}/library/b:1", False),
    (f"FROM a:1@{DIGEST}", f"{HUB}/library/a:1@{DIGEST}", True),
    ("FROM a\nCOPY --from=ghcr.io/x/y / /", "docker-image://ghcr.io/x/y:latest", True),
    ("FROM *", f"{HUB}/library/b:latest", False),
    ("# syntax=docker/dockerfile:1\nFROM a", f"{HUB}/docker/dockerfile:1@{DIGEST}", True),
    ("# syntax=docker/dockerfile:1\nFROM a", f"{HUB}/library/b:1", False),
    ("# syntax=x/y:1\nFROM a", f"{HUB}/library/b:1", True),  # it was allowed, and nobody knows what it takes
    ("# syntax=x/y:1\nFROM a", f"{HUB}/roas-build/prod-web:latest", False),
    ("FROM roas/web:1", f"{HUB}/roas/web:1", False),
    ("FROM a", f"{HUB}/roas-build/base:0123", True),
    ("FROM a\nADD https://b /b", "https://b", False),
]


@pytest.mark.parametrize(("text", "source", "may"), FETCHED)
def test_build_has_what_its_dockerfile_names_alone(text: str, source: str, may: bool) -> None:
    assert allows({"dockerfile_inline": text, "context": "/c"}, source) is may


def test_build_from_an_address_has_what_its_dockerfile_names_there() -> None:
    """It is a power; the bot's images are its own all the same."""
    section = {"context": "https://127.0.0.1/x.git"}
    assert allows(section, f"{HUB}/library/b:1")
    assert not allows(section, f"{HUB}/roas-build/prod-web:latest")


def allows(section: dict[str, str], source: str) -> bool:
    """Return whether BuildKit would fetch it: the last rule that fits counts."""
    rules = json.loads(source_policy(section))["rules"]
    fitting = [rule["action"] for rule in rules if fnmatchcase(source, rule["selector"]["identifier"])]
    return fitting[-1:] != ["DENY"]


def test_platform_is_noticed() -> None:
    assert read_bases("FROM --platform=$BUILDPLATFORM a", {}) == BaseImages(("a",), is_for_a_platform=True)


def test_name_of_unknown_parts_is_refused() -> None:
    with pytest.raises(ComposeFileError, match="not known before it is built"):
        read_bases("ARG A=xroas\nFROM ${A#x}/web", {})


KEYS = {"a": "a", "a:latest": "a", "docker.io/library/a:1": "a:1", "localhost:5000/a": "localhost:5000/a"}


@pytest.mark.parametrize(("name", "key"), KEYS.items())
def test_context_is_named_as_buildkit_looks_for_it(name: str, key: str) -> None:
    assert context_key(name) == key


def test_contexts_of_the_section_win() -> None:
    section = {"context": "/c", "pull": True, "additional_contexts": {"a": "/own", "b": "docker-image://c:1"}}
    assert with_bases(section, {"c:1": "c@sha256:1", "d": "x:1"}) == {
        "context": "/c",
        "additional_contexts": {
            "c:1": "docker-image://c@sha256:1",
            "d": "docker-image://x:1",
            "a": "/own",
            "b": "docker-image://c@sha256:1",
        },
    }
