"""Which of an engine's images are versions of a stack."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from roas.models.stack import ServiceDefinition
from roas.stack.images.local_versions import PLACEHOLDER, common_version, image_patterns, versions_of


def test_versioned_tags_sorted_newest_first() -> None:
    """Only tags of images that follow the version count."""
    patterns = image_patterns(
        [f"shop/web:{PLACEHOLDER}", f"shop/job:{PLACEHOLDER}-slim", "redis:7", f"shop/web:{PLACEHOLDER}"]
    )
    images = [
        {"Created": 1, "RepoTags": ["shop/web:v1", "redis:7"]},
        {"Created": 3, "RepoTags": ["shop/job:v3-slim", "shop/job:v9"]},
        {"Created": 2, "RepoTags": ["shop/web:v2", "shop/web:v1"]},
        {"Created": 4, "RepoTags": None},
    ]
    assert versions_of(images, patterns) == ("v3", "v2", "v1")


def test_name_is_no_pattern() -> None:
    (pattern,) = image_patterns([f"shop.example/a+b:{PLACEHOLDER}"])
    assert not re.fullmatch(pattern, "shopXexample/a+b:v1")
    assert pattern.fullmatch("shop.example/a+b:v1")


@pytest.mark.parametrize(
    ("web", "worker", "migrate", "common"),
    [("v1", "v1", "v1", "v1"), ("v1", "v1", "v2", "v1"), ("v1", "v2", "v2", ""), ("v1", "other", "v2", "v1")],
)
def test_version_that_runs_is_that_of_what_goes_on_running(web: str, worker: str, migrate: str, common: str) -> None:
    """A job ran once, perhaps of another version."""
    images = {
        "web": f"shop:{web}",
        "worker": worker if worker == "other" else f"shop:{worker}",
        "migrate": f"shop:{migrate}",
    }
    names = {"web": False, "worker": False, "migrate": True}
    definitions = {
        name: ServiceDefinition(name, f"shop:{PLACEHOLDER}", "d", one_shot=one_shot) for name, one_shot in names.items()
    }
    stack: Any = SimpleNamespace(definitions=definitions)
    assert common_version(stack, images) == common
