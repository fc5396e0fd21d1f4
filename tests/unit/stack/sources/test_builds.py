"""What is built is what was planned: from a copy, of which the files are those that BuildKit would take."""

from collections.abc import Callable
from pathlib import Path

import pytest

from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.stack.sources.build_sources import BuildSources
from roas.stack.sources.withheld import Withheld


@pytest.fixture
def context(stack: Callable[..., Environment]) -> Environment:
    """A stack whose image holds its context, and a build that has all kinds of sources."""
    environment = stack("""
services:
  web:
    build: {context: app, dockerfile: ../docker/Dockerfile, additional_contexts: {more: ./more}, secrets: [s]}
secrets: {s: {file: ./secret}}
""")
    files = {
        "docker/Dockerfile": """FROM tiny:v1
COPY . /all
COPY --from=more . /more
RUN --mount=type=secret,id=s cp /run/secrets/s /secret
""",
        "app/.dockerignore": "# what is not needed\n*.log\nnode_modules\n!keep.log\nDIR\n/top\nsub/*/x\n",
        "app/main": "main",
        "app/run.sh": "run",
        "app/a.log": "left out",
        "app/keep.log": "kept",
        "app/A.LOG": "capitals are others",
        "app/node_modules/m": "left out",
        "app/sub/node_modules/m": "only the first folder is left out",
        "app/sub/top": "kept",
        "app/top": "left out",
        "app/dir/f": "kept",
        "app/sub/a/x": "left out",
        "app/sub/a/y": "kept",
        "more/extra": "extra",
        "secret": "secret",
    }
    for name, text in files.items():
        path = environment.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    (environment.folder / "app" / "run.sh").chmod(0o755)
    (environment.folder / "app" / "link").symlink_to("main")
    (environment.folder / "app" / "dangling").symlink_to("/nowhere")
    return environment


def test_missing_folder_to_build_from_is_named(tmp_path: Path) -> None:
    """Who has the compose file without the repository has the image from a registry."""
    gone = tmp_path / "gone"
    sources = BuildSources(
        {"context": str(gone)}, {}, b"", tmp_path, Withheld(), may_leave=False, may_bind=lambda _: False
    )
    with pytest.raises(ComposeFileError, match=f"no folder {gone} to build from") as raised:
        sources.digest()
    assert "!reset" in str(raised.value.hint)
