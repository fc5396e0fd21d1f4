"""What a stack binds and is not there is named all at once, with what Compose would do."""

from pathlib import Path
from typing import Any

import pytest

from roas.errors import ComposeFileError
from roas.stack.resolution.bind_sources import missing_sources, refuse_missing_sources


def model_of(*binds: str) -> dict[str, Any]:
    made = {"create_host_path": True}  # as Compose prints what is written in the short way
    volumes = [{"type": "bind", "source": bind, "target": bind, "bind": made} for bind in binds]
    return {"services": {"web": {"image": "tiny:v1", "volumes": volumes}}}


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["acme.json"], "These do not exist:\nweb binds {0}/acme.json"),
        (["a.json", "b.json"], "These do not exist:\nweb binds {0}/a.json\nweb binds {0}/b.json"),
        (
            ["a.json", "b.json", "c.json"],
            "These do not exist:\nweb binds {0}/a.json\nweb binds {0}/b.json\nweb binds {0}/c.json",
        ),
    ],
)
def test_missing_files_are_refused_with_what_compose_makes(tmp_path: Path, names: list[str], text: str) -> None:
    paths = [str(tmp_path / name) for name in names]
    missing = missing_sources(model_of(*paths), tmp_path, sees_host=True)
    with pytest.raises(ComposeFileError) as caught:
        refuse_missing_sources(missing)
    assert caught.value.message == text.format(tmp_path)
    hint = f"Create what is missing, or correct the compose file: `mkdir -p {' '.join(paths)}`."
    assert caught.value.hint == hint
    # Compose binds what is missing of a secret by another request, for which the engine makes no folder.
    secret = tmp_path / "password"
    model = model_of(*paths) | {"secrets": {"password": {"file": str(secret)}}}
    model["services"]["web"]["secrets"] = [{"source": "password"}]
    with pytest.raises(ComposeFileError) as caught:
        refuse_missing_sources(missing_sources(model, tmp_path, sees_host=True))
    assert caught.value.hint == hint
