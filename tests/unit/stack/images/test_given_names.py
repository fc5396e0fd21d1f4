"""A name on this machine is everybody's: a build gets none that somebody takes for a registry's."""

from typing import Any, cast

import pytest

from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import PROJECT
from roas.stack.images.readable_names import set_references

PULLED, BUILT, OLDER = (f"sha256:{digit * 64}" for digit in "123")
AGENT = "vendor/agent"


class Images:
    """Be an engine that has images, of which two came from the repository of a registry."""

    project = "shop"

    def __init__(self) -> None:
        release = "roas-release/shop-agent:1"
        self.named = {f"{AGENT}:v1": PULLED, release: PULLED, f"{AGENT}:v0": OLDER}
        self.digests = {PULLED: [f"{AGENT}@{PULLED}"], OLDER: [f"{AGENT}@{OLDER}"], BUILT: ["roas-build/x@sha256:9"]}
        self.labels = {BUILT: {PROJECT: self.project}}

    async def call(self, question: Any) -> Any:
        return question(self)

    def inspect_image(self, name: str) -> dict[str, Any]:
        image_id = name if name in self.digests else self.named.get(name)
        if image_id is None:
            raise ApiNotFoundError(404, name)
        return self._image(image_id) | {"Config": {"Labels": self.labels.get(image_id)}}

    def images(self, repository: str) -> list[dict[str, Any]]:
        return [self._image(found) for name, found in self.named.items() if name.partition(":")[0] == repository]

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return []

    def tag(self, image_id: str, repository: str, tag: str, *, force: bool) -> None:
        assert force
        self.named[f"{repository}:{tag}"] = image_id

    def _image(self, image_id: str) -> dict[str, Any]:
        tags = [name for name, found in self.named.items() if found == image_id]
        return {
            "Id": image_id,
            "RepoTags": tags,
            "RepoDigests": self.digests[image_id],
            "Labels": self.labels.get(image_id),
        }


async def name(engine: Images, image_id: str, written: str) -> str | None:
    extension = {"image_id": image_id, "written": {"image": written}}
    await set_references(cast("Engine", engine), {"agent": {"image": image_id, "x-deploy": extension}})
    return engine.named.get(written)


@pytest.mark.parametrize("tag", ["v1", "v2"])
async def test_build_takes_no_name_of_a_registry(tag: str) -> None:
    """Neither one that is here, nor the next one: a service with a root power would be another program by that."""
    engine = Images()
    before = engine.named.get(f"{AGENT}:{tag}")
    assert await name(engine, BUILT, f"{AGENT}:{tag}") == before


async def test_name_of_a_registry_means_its_image_again() -> None:
    assert await name(Images(), OLDER, f"{AGENT}:v1") == OLDER


async def test_name_that_only_builds_have_moves_with_them() -> None:
    engine = Images()
    assert await name(engine, BUILT, "own/web:v1") == BUILT
    assert await name(engine, BUILT, "own/web:v2") == BUILT


async def test_image_of_many_services_is_asked_for_once() -> None:
    """Each question is milliseconds of the engine: fifty services of one image made hundreds, one after the other."""
    engine = Images()
    asked = []
    inspect = engine.inspect_image
    engine.inspect_image = lambda name: asked.append(name) or inspect(name)  # type: ignore[method-assign, func-returns-value]
    fields = {
        "image": f"roas/own/web:v1-{BUILT[7:19]}",
        "x-deploy": {"image_id": BUILT, "written": {"image": "own/web:v1"}},
    }
    services = {f"web-{number}": fields for number in range(50)}
    given = await set_references(cast("Engine", engine), services, lenient=True)
    assert given == dict.fromkeys(services, "own/web:v1")
    assert sorted(asked) == sorted({*asked}), "each name once"
