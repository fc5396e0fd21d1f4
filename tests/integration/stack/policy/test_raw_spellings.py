"""However a file is named in YAML, a file outside the folder is not read: Compose is asked what each spelling means."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, ComposePolicyError
from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from testbed.inherited import chosen_programs
from tests.integration.stack.policy.compose_answers import remembered_answers

SECRET = "LEAKED"
OUTSIDE = "../outside.env"
WEB = "services: {web: %s}"
KEYS = ("env_file", '"env_file"', "!!str env_file", "!!binary ZW52X2ZpbGU=", "!<tag:yaml.org,2002:binary> ZW52X2ZpbGU=")
KEYS += ("!local env_file", "!!seq env_file", "!!set env_file", "? env_file\n", "&k env_file", '"\\x65nv_file"')
VALUES = (OUTSIDE, f'"{OUTSIDE}"', f"[{OUTSIDE}]", f"!override [{OUTSIDE}]", f"!!set [{OUTSIDE}]", f"! {OUTSIDE}")
VALUES += ("!!binary Li4vb3V0c2lkZS5lbnY=", "[!!binary Li4vb3V0c2lkZS5lbnY=]", f"[{{path: {OUTSIDE}, required: true}}]")
VALUES += (
    f"[{{!!binary cGF0aA==: {OUTSIDE}}}]",
    "yes",
    "[on]",
    "[12:30:45]",
    "0x10",
    "[1_0]",
    '"${UP-..}/outside.env"',
)
VALUES += ('"../out\\\n      side.env"', "link.env", f"&v {OUTSIDE}", f"!!python/str {OUTSIDE}", "!!null link.env")
MAPPINGS = (
    "",
    "!!set ",
    "!!omap ",
    "!!map ",
    "!!str ",
    "!!pairs ",
    "!!binary ",
    "!local ",
    "!override ",
    "!!python/dict ",
)
ANCHORED = f"x-a: &a {{env_file: {OUTSIDE}}}\nx-b: &b {{env_file: own.env}}\n" + WEB
WHOLE = [
    ANCHORED % "{image: x, <<: *a}",
    ANCHORED % "{image: x, <<: [*a, *b]}",
    ANCHORED % "{image: x, <<: [*b, *a]}",
    ANCHORED % "{image: x, <<: *a, env_file: own.env}",
    ANCHORED % "{image: x, <<: *a, env_file: !reset null}",
    ANCHORED % "{image: x, <<: *a, env_file: !reset own.env}",
    ANCHORED % "{image: x, <<: {<<: [*b, *a]}}",
    f"x-k: &k env_file\nservices: {{web: {{image: x, *k : {OUTSIDE}}}}}",
    f"x-a: &a {{services: {{web: {{image: x, env_file: {OUTSIDE}}}}}}}\n<<: *a",
    f"%TAG ! tag:yaml.org,2002:\n---\nservices: {{web: {{image: x, !binary ZW52X2ZpbGU=: {OUTSIDE}}}}}",
    f"services: {{web: {{image: x}}}}\n---\nservices: {{web: {{env_file: {OUTSIDE}}}}}",
    f"services: {{web: {{image: x, extends: {{service: b}}}}, b: {{image: x, env_file: {OUTSIDE}}}}}",
    "services: {web: {image: x, env_file: ~/outside.env}}",
    "services: {web: {image: x, env_file: ~outside.env}}",
    "services: {web: {image: x, extends: {file: '${D-sub}/more.yml', service: b}}}",
    "include: ['${D-sub}/more.yml']\nservices: {web: {image: x}}",
    "include: ['${D-sub/more.yml}']\nservices: {web: {image: x}}",
    "include: [{path: [own.yml, sub/more.yml]}]\nservices: {web: {image: x}}",
    "include: [{path: inner.yml, project_directory: '${D-sub}'}]\nservices: {web: {image: x}}",
    "include: [{path: own.yml, env_file: []}]\nservices: {web: {image: x}}",
    "include: [{path: [sub/own.yml], env_file: [own.env, sub/link.env]}]\nservices: {web: {image: x}}",
    "include: [next.yml]\nservices: {web: {image: x, extends: {file: twice.yml, service: b}}}",
    "services: {web: {image: x, env_file: jump/../way.env}}",
    "services: {web: {image: x, env_file: '${STACK}/jump/../back.env'}}",
    "include: [jump/../inner.yml]\nservices: {web: {image: x}}",
    "include: !!set [sub/more.yml]\nservices: {web: {image: x}}",
]


def spellings() -> Iterator[str]:
    """Write the same field in every way that YAML has."""
    for key, value in product(KEYS, VALUES):
        explicit = f"{key}    : {value}" if key.endswith("\n") else f"{key}: {value}"
        yield f"services:\n  web:\n    image: x\n    {explicit}\n"
    for outer, inner in product(MAPPINGS, MAPPINGS):
        yield f"services: {outer}{{web: {inner}{{image: x, env_file: {OUTSIDE}}}}}"
    yield from WHOLE


@pytest.fixture
def folder(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack's folder, with links that lead out of it by names that YAML could take for something else."""
    folder = environment.folder
    (folder.parent / "outside.env").write_text(f"{SECRET}=1\n")
    (folder / "own.env").write_text("OWN=1\n")
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "jump").symlink_to("sub/deep")
    for name in ("back.env", "sub/way.env"):
        (folder / name).write_text("OWN=1\n")
    (folder / "sub" / "inner.yml").write_text("services: {b: {image: x}}")
    (folder / "next.yml").write_text("include: [{path: twice.yml, project_directory: sub}]")
    (folder / "twice.yml").write_text("services: {b: {image: x, env_file: own.env}}")
    for name in (
        "link.env",
        "way.env",
        "sub/back.env",
        "sub/link.env",
        "sub/own.env",
        "yes",
        "on",
        "12:30:45",
        "0x10",
        "1_0",
        "null",
    ):
        (folder / name).symlink_to(folder.parent / "outside.env")
    (folder / "sub" / "more.yml").write_text("services: {b: {image: x, env_file: link.env}}")
    (folder / "inner.yml").write_text("services: {b: {image: x, env_file: link.env}}")
    for place in (folder, folder / "sub"):
        (place / "own.yml").write_text("services: {b: {image: x, environment: {B: '${LEAKED:-}'}}}")
    monkeypatch.setenv("HOME", str(folder.parent))
    return folder


def compose_config(file: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Ask Compose itself what a file means."""
    command = ["docker-compose", "-p", "p", "--env-file", "/dev/null", "-f", str(file), "config"]
    own = {**chosen_programs(), "HOME": os.environ["HOME"]}
    return subprocess.run(command, env=own | variables, capture_output=True, text=True, check=False)


# Compose is asked about each of them, which takes half a minute of a core.
@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.long)], ids=["sample", "each"])
@pytest.mark.timeout(300)
async def test_no_spelling_hides_a_file(engine: Stacks, environment: Environment, folder: Path, share: int) -> None:
    """Each spelling by which Compose reads the file is refused; what Compose does not take counts for nothing."""
    leaking, let_through = 0, []
    environment = replace(environment, variables={"STACK": str(folder), "HOME": os.environ["HOME"]})
    file = environment.compose_files[0]

    def leaks() -> bool:
        return SECRET in compose_config(file, STACK=str(folder)).stdout

    with remembered_answers(Path(__file__), "leaks", afresh=share == 1) as answers:
        for text in sorted(spellings())[share // 2 :: share]:
            file.write_text(text)
            if not answers.of(text, leaks):
                continue
            leaking += 1
            try:
                await engine.of(environment).resolve(None, write_contents=False)
            except (ComposePolicyError, ComposeFileError):
                continue
            let_through.append(text)
    assert leaking > 200 // share * 0.8
    assert let_through == []


async def test_a_value_that_is_no_text_is_refused(engine: Stacks, environment: Environment, folder: Path) -> None:
    """Compose prints it as `!!binary`, and what is judged would not be what is applied."""
    (folder / "x.env").write_bytes(b"A=\xff\n")
    environment.compose_files[0].write_text("services: {web: {image: x, network_mode: 'container:${A}'}}")
    with pytest.raises(ComposePolicyError, match="not UTF-8 text"):
        await engine.of(replace(environment, env_files=(folder / "x.env",))).resolve(None)
