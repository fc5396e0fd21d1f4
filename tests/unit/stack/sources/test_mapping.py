"""Paths of a copy are told as the real ones."""

import re
from pathlib import Path

import pytest

from roas.stack.sources.snapshot import DEPTH, PathMapping

BASE = Path("/tmp/roas-plan.a+b/files")
COPY = f"{BASE}{'/_' * DEPTH}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{COPY}/srv/app/web.env", "/srv/app/web.env"),
        (f"open {COPY}/srv/a: no such file, {COPY}/srv/b too", "open /srv/a: no such file, /srv/b too"),
        (f"{BASE}/_/_/etc/x", "/etc/x"),
        (f"{COPY}/_/within", "/_/within"),
        (f"{COPY}", ""),
        (f"{BASE}{'/_' * 3}x", "/_x"),
        (f"{BASE}x/other", f"{BASE}x/other"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_text_has_real_paths(text: str, told: str) -> None:
    assert PathMapping(BASE).text_back(text) == told


def test_no_pattern_per_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each plan has a copy of its own, and Python keeps hundreds of patterns for good."""
    monkeypatch.setattr(re, "compile", None)
    mapping = PathMapping(BASE)
    assert mapping.model_back({"env_file": [str(mapping.to_copy(Path("/srv/web.env")))]}) == {
        "env_file": ["/srv/web.env"]
    }
