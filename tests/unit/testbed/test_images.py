"""Images without a registry: their tar, their Dockerfile, and what is kept of them."""

import pytest

from testbed.cache import cached
from testbed.rootfs import Rootfs, changes
from testbed.sample import sample_image


def test_same_content_same_tar():
    def make():
        root = Rootfs()
        root.add("etc/motd", "hello")
        root.add_folder("data", 999, 1000)
        return root.tar()

    assert make() == make()


def test_settings_become_dockerfile_instructions():
    assert changes({"CMD": '["a"]', "ENV": ["A=1", "B=2"]}) == ['CMD ["a"]', "ENV A=1", "ENV B=2"]


def test_cached_file_made_once_atomically(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []

    def make(out):
        made.append(out)
        out.write_text("content")

    def fail(out):
        out.write_text("half")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        cached("thing", fail)
    assert cached("thing", make).read_text() == "content"
    assert cached("thing", make).read_text() == "content"
    assert len(made) == 1


def test_unknown_behaviour_refused():
    with pytest.raises(ValueError, match="unknown behaviour"):
        sample_image(None, "x:y", behaviour="sulks")
