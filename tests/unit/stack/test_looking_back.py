"""Which of an engine's images are versions of a stack."""

import re

from roas.stack.images.local_versions import PLACEHOLDER, image_patterns, versions_of


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
