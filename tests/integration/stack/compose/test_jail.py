"""Compose sees a copy of the stack's files and nothing else, and takes no more than it may."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, ComposePolicyError, RoasError
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.compose.jail import ARCHITECTURES, confined, seccomp_filter
from roas.stack.compose.runner import ComposeRunner, compose_command
from roas.stack.docker.engine import ASKING_THREADS, FILE_THREADS, EngineClients
from roas.stack.model.text import read_resolved
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.resolution.resolver import StackResolver
from roas.stack.sources.contents import ContentStore
from roas.stack.stacks import Stacks
from roas.temporary import PREFIX
from testbed.inherited import chosen_programs
from tests.integration.stack.open_stacks import without_engine

SECRET = "LEAKED"
# Each line prints its name where it is possible.
ATTEMPTS = """
import ctypes, os, socket, sys
outside, inside, other = sys.argv[1], sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def memory():
    if not libc.malloc(ctypes.c_size_t(1500 << 20)): raise MemoryError
def io_uring():
    if libc.syscall(425, 8, ctypes.create_string_buffer(120)) < 0: raise OSError
def steal():
    if libc.syscall(101 if os.uname().machine == "x86_64" else 117, 16, other, 0, 0) < 0: raise OSError
tries = {
    "read the copy": lambda: open(inside).read(),
    "read outside": lambda: open(outside).read(),
    "list outside": lambda: os.listdir(os.path.dirname(outside)),
    "read accounts": lambda: open("/etc/passwd").read(),
    "write the copy": lambda: open(inside, "a").write("x"),
    "create": lambda: open(inside + ".new", "w").close(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "tcp socket": lambda: socket.socket(socket.AF_INET),
    "pair of sockets": lambda: socket.socketpair(),
    "io_uring": io_uring,
    "trace": steal,
    "signal": lambda: os.kill(other, 0),
    "memory": memory,
    "program": lambda: os.execv("/bin/true", ["true"]),
}
for name, attempt in tries.items():
    try:
        attempt()
    except (OSError, MemoryError):
        continue
    print(name, flush=True)
"""


def test_jail_lets_read_the_copy_and_no_more(tmp_path: Path) -> None:
    scratch, outside = tmp_path / "scratch", tmp_path / "outside.env"
    scratch.mkdir()
    outside.write_text(SECRET)
    (scratch / "own.env").write_text("own")
    # The interpreter itself, where its libraries are: a link to it is another file.
    python = os.path.realpath("/usr/bin/python3")
    with subprocess.Popen(("sleep", "60")) as other:
        attempt = (python, "-I", "-S", "-c", ATTEMPTS, str(outside), str(scratch / "own.env"), str(other.pid))
        free = subprocess.run(attempt, capture_output=True, text=True, check=False).stdout.splitlines()
        (scratch / "own.env.new").unlink()
        command = confined(attempt, scratch)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        other.kill()
    assert done.stdout.splitlines() == ["read the copy"], done.stderr
    assert {"read outside", "unix socket", "create", "signal", "memory"} <= set(free)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_filter_jumps_end_inside_it(machine: str) -> None:
    """Whatever the filter compares, its longest jump ends at the refusal, which is its last instruction."""
    program = seccomp_filter(machine)
    instructions = [program[at : at + 8] for at in range(0, len(program), 8)]
    jumps = [
        at + 1 + instruction[2]
        for at, instruction in enumerate(instructions)
        if instruction[0] in {0x15, 0x35} and instruction[2] > 1
    ]
    assert set(jumps) == {len(instructions) - 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack's folder, beside a file that nobody may read through it."""
    folder = tmp_path / "stack"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.env").write_text(f"{SECRET}=1\n")
    return folder


@pytest.fixture
def environment(folder: Path) -> Environment:
    """An environment whose engine is away: a plan does without."""
    return without_engine(folder)


FILES = {
    "own.env": "OWN=1\nVERSION=v3\n",
    "sub/own.env": "OWN=2\n",
    "sub/.env": "INNER=from the default env file\n",
    "sub/inner.yml": "services: {inner: {image: 'x:${INNER}', env_file: own.env, volumes: ['./d:/d', '../up:/up']}}",
    "base.yml": "services: {base: {image: x, env_file: [own.env], volumes: ['./base:/b'], build: sub}}",
    "sub/base.yml": "services: {base: {image: x, env_file: own.env, volumes: ['./base:/b'], build: {context: .}}}",
    "label": "a=b\n",
}
SERVICE = "services: {web: {image: 'x:${VERSION-none}', %s}}"
STACKS = {
    "binds": SERVICE % "volumes: ['./d:/d', '../up:/u', '/abs:/a', '~/home:/h', '../../../../../../../../../etc/x:/e']",
    "long bind": SERVICE % "volumes: [{type: bind, source: ./d, target: /d, read_only: true}]",
    "root": SERVICE % "volumes: ['/:/host', '../../../../../../../../..:/r']",
    "env files": SERVICE % "env_file: [own.env, {path: sub/own.env}, {path: none.env, required: false}]",
    "optional env file": SERVICE % "env_file: [{path: sub/own.env, required: false}]",
    "absolute env file": SERVICE % "env_file: ['%(folder)s/sub/own.env']",
    "interpolated path": SERVICE % "env_file: ['${WHERE-sub}/own.env']",
    "interpolated absolute": SERVICE % "env_file: ['${STACK}/own.env']",
    "include": "include: [sub/inner.yml]\n" + SERVICE % "command: a",
    "include with folder": "include: [{path: sub/inner.yml, project_directory: .}]\n" + SERVICE % "command: a",
    "include with env file": "include: [{path: sub/inner.yml, env_file: own.env}]\n" + SERVICE % "command: a",
    "absolute include": "include: ['%(folder)s/sub/inner.yml']\n" + SERVICE % "command: a",
    "extends": SERVICE % "extends: {file: base.yml, service: base}",
    "extends below": SERVICE % "extends: {file: ./sub/base.yml, service: base}",
    "absolute extends": SERVICE % "extends: {file: '%(folder)s/sub/base.yml', service: base}",
    "build": SERVICE % "build: sub",
    "build here": SERVICE
    % "build: {context: ., dockerfile: sub/D, additional_contexts: {a: ./sub, b: docker-image://x}}",
    "build outside": SERVICE % "build: {context: .., dockerfile: /abs/D}",
    "build remote": SERVICE % "build: 'https://example.org/a.git'",
    "develop": SERVICE % "develop: {watch: [{path: ./sub, action: rebuild}]}",
    "secrets": SERVICE
    % "secrets: [a], configs: [c]}}\nsecrets: {a: {file: ./own.env}}\nconfigs: {c: {file: sub/own.env",
    "device": SERVICE % "volumes: ['v:/v']}}\nvolumes: {v: {driver_opts: {type: none, o: bind, device: ./d}",
    "texts": SERVICE % "environment: {A: './d', B: '~/x', C: '${HOME}', D: '$$HOME', E: 'a: b', F: '${PWD-none}'}",
}


# Each of these includes another `inner`; the others are files of one stack, each with a service of its own.
APART = [name for name in STACKS if "include" in name]
GROUPS = [[name for name in STACKS if name not in APART], *([name] for name in APART)]


def write_stacks(environment: Environment, names: Sequence[str]) -> Environment:
    """Write a compose file for each of some stacks, which are files of one stack then."""
    files = []
    for name in names:
        number = [*STACKS].index(name)
        files.append(environment.folder / f"compose{number}.yml")
        text = STACKS[name].replace("{web:", f"{{web{number}:").replace("%(folder)s", str(environment.folder))
        files[-1].write_text(text)
    return replace(environment, compose_files=tuple(files))


def compose_config(environment: Environment, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask Compose itself, not confined, what the files mean."""
    files = [option for path in environment.compose_files for option in ("-f", path)]
    env_files = [option for path in environment.env_files or (Path("/dev/null"),) for option in ("--env-file", path)]
    command = [*compose_command(), "-p", "p", *env_files, *files, "config"]
    own = {**chosen_programs(), "HOME": os.environ["HOME"], "PWD": str(environment.folder), **variables}
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False, cwd=environment.folder)


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
async def test_copy_resolves_as_the_original(tmp_path: Path, environment: Environment, names: list[str]) -> None:
    folder = environment.folder
    for name, content in FILES.items():
        (folder / name).write_text(content)
    variables = {"STACK": str(folder), "HOME": os.environ["HOME"]}
    environment = replace(write_stacks(environment, names), variables=variables, env_files=(folder / "own.env",))
    resolver = StackResolver(
        EngineClients(),
        ComposeRunner("T"),
        ContentStore(tmp_path / "c"),
        ComposePolicy((), tmp_path / "state"),
        Redactor(),
    )
    expected = compose_config(environment, variables)
    assert expected.returncode == 0, expected.stderr
    assert (await resolver._read(environment, None)).model == read_resolved(expected.stdout)


async def test_message_names_the_real_path(engine: Stacks, environment: Environment) -> None:
    environment.compose_files[0].write_text("services: {web: {image: x, env_file: none.env}}")
    with pytest.raises(ComposeFileError) as caught:
        await engine.of(environment).resolve(None, write_contents=False)
    assert f"{environment.folder}/none.env not found" in caught.value.message
    assert PREFIX not in caught.value.message


@pytest.fixture
def flipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Replace `app.env` by a link to outside in the moment before each command of Compose; returns what was started."""
    started: list[str] = []
    real = asyncio.create_subprocess_exec

    async def start(*command: str, **options: object) -> asyncio.subprocess.Process:
        (folder / "app.env").unlink()
        (folder / "app.env").symlink_to("../outside.env")
        started.append(command[0])
        return await real(*command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    yield started
    assert started


@pytest.mark.parametrize("name", ["app.env", "{folder}/app.env"])
async def test_link_set_after_the_judgement_leaks_nothing(
    engine: Stacks, environment: Environment, flipped: list[str], name: str
) -> None:
    """Whatever path names it, it is read from the copy: what was judged."""
    (environment.folder / "app.env").write_text("OWN=1\n")
    path = name.format(folder=environment.folder)
    environment.compose_files[0].write_text(f"services: {{web: {{image: x, env_file: '{path}'}}}}")
    seen = await outcome(engine, environment)
    assert SECRET not in seen
    assert "'OWN': '1'" in seen


async def test_link_that_flips_all_the_time_leaks_nothing(engine: Stacks, environment: Environment) -> None:
    folder, done = environment.folder, threading.Event()
    (folder / "good.env").write_text("OWN=1\n")
    environment.compose_files[0].write_text("services: {web: {image: x, env_file: app.env}}")

    def flip() -> None:
        while not done.wait(0.001):
            for target in ("good.env", "../outside.env"):
                (folder / "new").unlink(missing_ok=True)
                (folder / "new").symlink_to(target)
                (folder / "new").rename(folder / "app.env")

    thread = threading.Thread(target=flip)
    (folder / "app.env").symlink_to("good.env")
    thread.start()
    try:
        seen = [await outcome(engine, environment) for _ in range(20)]
    finally:
        done.set()
        thread.join()
    assert not [text for text in seen if SECRET in text]


async def outcome(engine: Stacks, environment: Environment) -> str:
    """Return what a plan says, or why there is none."""
    try:
        return str((await engine.of(environment).resolve(None, write_contents=False)).model)
    except (ComposeFileError, ComposePolicyError) as error:
        return error.message


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


SPECIAL = {"pipe": _pipe, "device": _device, "huge": _huge}
PLACES = {
    "docker-compose.yml": "",
    "own.env": "services: {web: {image: x, env_file: own.env}}",
    "more.yml": "include: [more.yml]\nservices: {web: {image: x}}",
    "base.yml": "services: {web: {image: x, extends: {file: base.yml, service: a}}}",
    "sub/.env": "include: [sub/inner.yml]\nservices: {web: {image: x}}",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SPECIAL)
async def test_what_is_no_file_is_named_at_once(
    engine: Stacks, environment: Environment, kind: str, place: str
) -> None:
    folder = environment.folder
    (folder / "sub" / "inner.yml").write_text("services: {inner: {image: x}}")
    if text := PLACES[place]:
        environment.compose_files[0].write_text(text)
    SPECIAL[kind](folder / place)
    began = time.monotonic()
    with pytest.raises(ComposeFileError) as caught:
        await engine.of(environment).resolve(None, write_contents=False)
    assert Path(place).name in caught.value.message
    assert time.monotonic() - began < 10


async def test_forty_plans_of_a_pipe_leave_others_alone(engine: Stacks, environment: Environment) -> None:
    folder = environment.folder
    _pipe(folder / "own.env")
    environment.compose_files[0].write_text(PLACES["own.env"])
    (folder / "good.yml").write_text("services: {web: {image: x}}")
    other = replace(environment, name="other", compose_files=(folder / "good.yml",))
    async with asyncio.timeout(30):
        plans = [engine.of(environment).resolve(None, write_contents=False) for _ in range(40)]
        hung = await asyncio.gather(*plans, return_exceptions=True)
        assert {type(item) for item in hung} == {ComposeFileError}
        assert (await engine.of(other).resolve(None, write_contents=False)).model["services"]


async def test_hanging_files_leave_engine_threads() -> None:
    """However long a disk takes, what is asked of engines has threads of its own."""
    clients, held = EngineClients(), threading.Event()
    waiting = [asyncio.ensure_future(clients.local(held.wait)) for _ in range(FILE_THREADS + ASKING_THREADS)]
    await asyncio.sleep(0)  # they begin
    try:
        away = Environment("dev", "p", Path("/"), (), docker_host="unix:///nowhere.sock")
        with pytest.raises(RoasError, match="does not answer"):
            async with asyncio.timeout(10):
                await clients.of(away).call(lambda client: client.ping())
    finally:
        held.set()
        await asyncio.gather(*waiting)
        await clients.close()


# Enough for Compose, and reached sooner than what it has otherwise.
LITTLE_MEMORY = 384 << 20
BOMBS = {
    "variables": "A0=" + "x" * 1000 + "\n" + "\n".join(f"A{n}=" + f"${{A{n - 1}}}" * 10 for n in range(1, 9)),
    "large": "A=" + "x" * (3 << 20),
}


@pytest.mark.parametrize(
    ("bomb", "names", "said"),
    [("variables", ("A8",), "MiB of memory"), ("large", ("A",) * 3, "a model of more than 8 MiB")],
)
async def test_what_takes_too_much_is_refused(
    engine: Stacks,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    bomb: str,
    names: tuple[str, ...],
    said: str,
) -> None:
    if bomb == "variables":
        monkeypatch.setattr("roas.stack.compose.jail.MEMORY_BYTES", LITTLE_MEMORY)
    (environment.folder / ".env").write_text(BOMBS[bomb])
    values = ", ".join(f"V{index}: '${{{name}}}'" for index, name in enumerate(names))
    environment.compose_files[0].write_text(f"services: {{web: {{image: x, environment: {{{values}}}}}}}")
    bombed = replace(environment, env_files=(environment.folder / ".env",))
    with pytest.raises(ComposeFileError, match=f"Resolving the compose file takes.*{said}"):
        await engine.of(bombed).resolve(None, write_contents=False)


def test_helper_refuses_to_run_unconfined(tmp_path: Path) -> None:
    """A filter that the kernel does not take ends it: the command is not started."""
    (tmp_path / "bad").write_bytes(b"12345678")
    helper = [sys.executable, "-I", "-S", "bot/stack/compose/jail_exec.py", str(tmp_path / "bad"), str(1 << 30), "5"]
    command = [*helper, "x/bin/echo", "--", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert "jail:" in done.stderr
