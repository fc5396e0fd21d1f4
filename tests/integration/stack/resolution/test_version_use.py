"""The version that is deployed reaches the stack's own variables; where nothing follows it, the plan says so."""

from dataclasses import replace

import pytest

VERSIONED = "services: {web: {image: 'tiny:${APP_TAG:-v1}'}}"


@pytest.mark.parametrize(
    ("compose", "env", "mapped", "image", "follows", "recorded", "beside"),
    [
        ("services: {web: {image: 'tiny:${VERSION:-v1}'}}", None, (), "tiny:v2", True, "v2", True),
        ("services: {web: {image: 'tiny:v1'}}", None, (), "tiny:v1", False, "", False),
        (VERSIONED, None, (), "tiny:v1", False, "", False),
        (VERSIONED, "APP_TAG=v1", ("APP_TAG",), "tiny:v2", True, "v2", True),
        (VERSIONED, "APP_TAG=${VERSION:-v1}", (), "tiny:v2", True, "v2", True),
        ("services: {web: {image: 'tiny:v1'}} # $VERSION", "VERSION=v1", (), "tiny:v1", False, "v1", False),
        ("services: {web: {image: 'tiny:v1', command: 'echo $$VERSION'}}", None, (), "tiny:v1", False, "", False),
        ("services: {web: {image: 'tiny:v1', labels: {a: '${VERSION:+set}'}}}", None, (), "tiny:v1", False, "", False),
        ("services: {web: {image: 'tiny:v1', labels: {a: '${VERSION}'}}}", None, (), "tiny:v1", True, "v2", True),
        (
            "services: {web: {image: 'tiny:v1'}, old: {image: 'tiny:${VERSION}', profiles: [old]}}",
            None,
            (),
            "tiny:v1",
            False,
            "",
            False,
        ),
        ("services: {web: {image: 'tiny:${VERSION:-v1}'}}", "VERSION=v2", (), "tiny:v2", True, "v2", False),
        ("services: {web: {image: 'tiny:${VERSION:-v1}'}}", "VERSION=v1", (), "tiny:v2", True, "v2", True),
        ("services: {web: {image: 'tiny:${VERSION:?which}'}}", None, (), "tiny:v2", True, "v2", False),
    ],
)
async def test_version_reaches_what_follows_it(engine, stack, compose, env, mapped, image, follows, recorded, beside):
    """Where the files themselves name another one, `beside` says so: a plain `up -d` goes back to that."""
    environment = replace(stack(compose, env=env), version_variables=mapped)
    found = await engine.of(environment).resolve("v2", write_contents=False)
    assert found.definitions["web"].image == image
    assert (found.follows_version, found.version, found.beside_files) == (follows, recorded, beside)
    assert any("Nothing in the stack follows the version v2" in text for text in found.warnings) is not follows


async def test_stack_is_read_for_version_by_name(engine, stack):
    """Without a version, as `doctor` looks, what would follow one is known from the files alone."""
    unmapped = stack(VERSIONED, env="APP_TAG=v1")
    assert not (await engine.of(unmapped).resolve(None, write_contents=False)).follows_version
    mapped = replace(unmapped, version_variables=("APP_TAG",))
    found = await engine.of(mapped).resolve(None, write_contents=False)
    assert (found.follows_version, found.version) == (True, "v1")
