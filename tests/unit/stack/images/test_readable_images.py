"""How an image is called, so that people know it."""

import pytest

from roas.stack.images.readable_names import readable_reference

ID = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("reference", "readable"),
    [
        ("nginx", "roas/nginx:latest-0123456789ab"),
        ("nginx:1.27", "roas/nginx:1.27-0123456789ab"),
        ("ghcr.io/team/app:v1.2", "roas/team/app:v1.2-0123456789ab"),
        ("localhost:5000/app:v1", "roas/app:v1-0123456789ab"),
        ("team/app@sha256:" + "f" * 64, "roas/team/app:0123456789ab"),
        ("docker.io/team/app:8@sha256:" + "f" * 64, "roas/team/app:8-0123456789ab"),
        (ID, "roas/image:latest-0123456789ab"),
        ("roas/app:v1-0123456789ab", "roas/app:v1-0123456789ab"),
        ("app:" + "x" * 128, "roas/app:" + "x" * 115 + "-0123456789ab"),
    ],
)
def test_readable_names(reference: str, readable: str) -> None:
    assert readable_reference(reference, ID) == readable
