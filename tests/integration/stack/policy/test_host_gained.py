"""Nobody gains the host by what he commits: each way in is tried with the real Compose and a real engine."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.errors import ComposeFileError, ComposePolicyError, RoasError
from roas.models.environment import Environment
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.runner import ComposeRunner
from roas.stack.sources.snapshot import new_snapshot
from roas.stack.stacks import Stacks
from testbed.inherited import chosen_programs
from testbed.preloaded import run_preloaded
from tests.integration.stack.applying import deploy
from tests.integration.stack.open_stacks import open_stacks

ROOT = Path(__file__).parents[4]
REMOTE = "evil@127.0.0.1:repo.git"
GIT_ON = "COMPOSE_EXPERIMENTAL_GIT_REMOTE=1\nCOMPOSE_EXPERIMENTAL_OCI_REMOTE=1\nGIT_SSH_COMMAND=sh ./payload.sh\n"
PLAIN = "services: {web: {network_mode: none, image: 'tiny:v1'}}"
INCLUDES = {
    "short": f"include: ['{REMOTE}']\n{PLAIN}",
    "long": f"include: [{{path: '{REMOTE}'}}]\n{PLAIN}",
    "second of several": f"include: [{{path: [own.yml, '{REMOTE}']}}]\n{PLAIN}",
    "interpolated": f"include: ['${{WHO-evil}}@127.0.0.1:repo.git']\n{PLAIN}",
    "extends": f"services: {{web: {{image: 'tiny:v1', extends: {{file: '{REMOTE}', service: web}}}}}}",
    "extends merged": f"x-a: &a {{extends: {{file: '{REMOTE}', service: web}}}}\nservices: {{web: {{<<: *a}}}}",
    "path of a repository": f"include: ['./sub/../own.yml', sub/repo.git]\n{PLAIN}",
}

Stack = Callable[..., Environment]


@pytest.fixture
def baited(stack: Stack) -> Environment:
    """A stack whose `.env` switches git on and names the program that git shall start."""
    environment = stack(PLAIN, env=GIT_ON)
    folder = environment.folder
    (folder / "payload.sh").write_text(f"touch {folder / 'gained'}\nexit 1\n")
    # A file of that name is there, so that nothing but its name tells what it is.
    (folder / REMOTE).write_text(PLAIN)
    (folder / "own.yml").write_text("services: {db: {image: 'tiny:v1'}}")
    (folder / "sub").mkdir()
    (folder / "sub" / "repo.git").write_text(PLAIN)
    return environment


def refused(caught: pytest.ExceptionInfo[ComposePolicyError]) -> set[str]:
    """Return the entries that would allow what was refused."""
    return set(caught.value.entries)


async def resolved_entries(engine: Stacks, environment: Environment) -> set[str]:
    """Return the entries that would allow what is refused; empty where nothing is."""
    try:
        await engine.of(environment).resolve(None, write_contents=False)
    except ComposePolicyError as error:
        return set(error.entries)
    return set()


@pytest.mark.parametrize("compose", INCLUDES.values(), ids=INCLUDES.keys())
async def test_a_plan_starts_no_program(engine: Stacks, baited: Environment, compose: str) -> None:
    baited.compose_files[0].write_text(compose)
    with pytest.raises(ComposeFileError):
        await engine.of(baited).resolve(None, write_contents=False)
    assert not (baited.folder / "gained").exists()


async def test_no_entry_allows_a_remote_file(baited: Environment, tmp_path: Path) -> None:
    async with open_stacks(tmp_path / "state", f"include:{REMOTE}") as allowing:
        baited.compose_files[0].write_text(INCLUDES["short"])
        with pytest.raises(ComposeFileError, match="remote resource is disabled"):
            await allowing.of(baited).resolve(None)
    assert not (baited.folder / "gained").exists()


async def run_config(environment: Environment) -> None:
    """Have Compose resolve a stack's file in the jail, with nothing judged before."""
    with new_snapshot(environment.folder.resolve()) as snapshot:
        for path in (*environment.compose_files, *environment.env_files):
            snapshot.copy(path, path.resolve())
        snapshot.write()
        files, env_files = (
            tuple(map(snapshot.mapping.to_copy, paths)) for paths in (environment.compose_files, environment.env_files)
        )
        arguments = commands.config(ComposeProject(environment.project, files, env_files))
        await ComposeRunner("T").run_jailed(arguments, environment, snapshot, {})


async def test_the_env_file_does_not_steer_compose(baited: Environment) -> None:
    """Without any policy before it, Compose itself asks no other machine, in the jail and outside of it."""
    baited.compose_files[0].write_text(INCLUDES["short"])
    project = ComposeProject(baited.project, baited.compose_files, baited.env_files)
    with pytest.raises(RoasError, match="remote resource is disabled"):
        await ComposeRunner("T").run(commands.config(project), baited)
    with pytest.raises(RoasError, match="remote resource is disabled"):
        await run_config(baited)
    assert not (baited.folder / "gained").exists()


async def test_a_plan_finds_no_git(baited: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were remote files on, as a later Compose has it, there would still be no program to fetch them."""
    monkeypatch.setattr("roas.stack.compose.runner.PINNED", {})
    baited.compose_files[0].write_text(INCLUDES["short"])
    with pytest.raises(RoasError, match=r"git.*not found|failed to access repository"):
        await run_config(baited)
    assert not (baited.folder / "gained").exists()


def test_a_dry_run_starts_no_program(baited: Environment, tmp_path: Path) -> None:
    baited.compose_files[0].write_text(INCLUDES["short"])
    settings = {
        **chosen_programs(),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "STACK_DIR": str(baited.folder),
        "STATE_DIR": str(tmp_path / "state"),
        "DOCKER_HOST": str(baited.docker_host),
        "COMPOSE_PROJECT_NAME": baited.project,
    }
    done = run_preloaded("roas", "deploy", "dev", "v1", "--dry-run", env=settings, cwd=tmp_path, timeout=60)
    assert done.returncode
    assert "remote resource is disabled" in done.stdout + done.stderr
    assert not (baited.folder / "gained").exists()


MODELS: dict[str, set[str]] = {
    "volumes: [data:/d]}}\nvolumes: {data: {driver_opts: {type: proc, device: proc}}}": {"volume:data"},
    'volumes: [data:/d]}}\nvolumes: {data: {driver_opts: {type: overlay, device: overlay, o: "lowerdir=/etc:/srv"}}}': {
        "volume:data"
    },
    "volumes: [{type: volume, source: data, target: /d}]}}\nvolumes: {data: {driver: other}}": {"volume:data"},
    "volumes: [{type: volume, source: data, target: /d}]}}\nx-o: &o {driver_opts: {o: x}}\nvolumes: {data: *o}": {
        "volume:data"
    },
    "volumes: [data:/d]}}\nx-o: &o {driver: local, driver_opts: {o: rbind}}\nvolumes: {data: {<<: *o}}": {
        "volume:data"
    },
    "volumes: [data:/d]}}\nvolumes: {data: {external: true}}": {"external_volume:data"},
    "volumes: [data:/d]}}\nvolumes: {data: {external: {name: theirs}}}": {"external_volume:theirs"},
    "volumes: [data:/d]}}\nvolumes: {data: {external: 'true', name: theirs}}": {"external_volume:theirs"},
    "volumes: [data:/d]}}\nvolumes: {data: {name: '${THEIRS-theirs}'}}": {"external_volume:theirs"},
    "volumes: [data:/d]}}\nvolumes: {data: {name: '${COMPOSE_PROJECT_NAME}_data'}}": set(),
    "volumes: [data:/d]}}\nvolumes: {data: }": set(),
    "networks: [n]}}\nnetworks: {n: {external: true}}": {"external_network:n"},
    "networks: {n: {aliases: [a]}}}}\nnetworks: {n: {name: theirs}}": {"external_network:theirs"},
    "networks: [default]}}\nnetworks: {default: {name: bridge}}": {"external_network:bridge"},
    "}}\nnetworks: {default: {external: true, name: proxy}}": {"external_network:proxy"},
    "networks: [n]}}\nnetworks: {n: {driver: ipvlan, driver_opts: {parent: eth0}}}": {"network:n"},
    "networks: {n: {driver_opts: {a: b}}}}}\nnetworks: {n: }": {"network:n"},
    "networks: [n]}}\nnetworks: {n: {driver: ipvlan}}": {"network:n"},
    "logging: {driver: syslog, options: {syslog-address: 'tcp://127.0.0.1:6379'}}}}": {"logging:web"},
    "logging: {driver: '${HOW-fluentd}'}}}": {"logging:web"},
    "logging: &l {driver: gelf}}}": {"logging:web"},
    "logging: {driver: json-file, options: {max-size: 1m}}}}": set(),
    "logging: {driver: splunk, options: {splunk-url: 'http://127.0.0.1:1', splunk-token: t}}}}": {"logging:web"},
    "logging: {options: {syslog-address: 'tcp://127.0.0.1:6379'}}}}": {"logging:web"},
    "annotations: {run.oci.handler: krun}}}": {"annotations:web"},
    "blkio_config: {device_read_bps: [{path: /dev/sda, rate: 1mb}]}}}": {"blkio_config:web"},
    "cpu_rt_runtime: 95000}}": {"realtime:web"},
    "oom_kill_disable: 'true'}}": {"oom:web"},
    "oom_score_adj: -1_0}}": {"oom:web"},
    "oom_score_adj: 10, ulimits: {nofile: 1024}, sysctls: [net.core.somaxconn=1]}}": set(),
    "sysctls: ['kernel.core_pattern=|/x']}}": {"sysctls:web"},
    "ulimits: {rtprio: {soft: 1, hard: 99}}}}": {"ulimits:web"},
    "storage_opt: {dm.basesize: 1G}}}": {"storage_opt:web"},
    "volumes: [{type: bind, source: ./data, target: /d, bind: {propagation: shared}}]}}": {"mount:web"},
    "build: {context: ./app, cache_from: [shop/web:v1], cache_to: [type=inline]}}}": set(),
    "build: {context: ./app, x-tags: [a]}}}": set(),
    "build: app}}": set(),
    "env_file: state/journal}}": {"state_dir:web"},
    "env_file: [{path: '${WHERE-state}/journal'}]}}": {"state_dir:web"},
    "env_file: link/journal}}": {"state_dir:web"},
    "extends: {file: state/more.yml, service: web}}}": {"state_dir:web"},
    "}}\ninclude: [state/more.yml]": {"state_dir:docker-compose.yml"},
    "}}\ninclude: [{path: own.yml, env_file: state/journal}]": {"state_dir:docker-compose.yml"},
    "}}\ninclude: [{path: own.yml, project_directory: state}]": {"state_dir:docker-compose.yml"},
    "secrets: [s]}}\nsecrets: {s: {file: state/journal}}": {"state_dir:s"},
    "volumes: ['/var/run/docker.sock:/s']}}": {"docker_socket:web"},
    "volumes: ['/etc/localtime:/l:ro']}}": set(),
    "volumes: ['.:/d']}}": {"state_dir:web", "replaceable:{folder}/docker-compose.yml"},
    "volumes: ['./docker-compose.yml:/d']}}": {"replaceable:{folder}/docker-compose.yml"},
    "volumes: ['./docker-compose.yml:/d:ro']}}": set(),
    "volumes: ['./own.yml:/d']}}\ninclude: [own.yml]": {"replaceable:{folder}/own.yml"},
    "volumes: ['./data:/d', './data/sub:/s']}}": {"replaceable:{folder}/data/sub"},
    "volumes: ['./data:/d', './data/sub:/s:ro']}}": {"replaceable:{folder}/data/sub"},
    "volumes: ['./data:/d', './to-sub:/s:ro']}}": {"replaceable:{folder}/to-sub"},
    "volumes: ['./data:/d:ro', './data/sub:/s:ro']}}": set(),
    "volumes: ['./data:/d', './data:/s:ro']}}": set(),
    "volumes: ['./data/sub:/d', './data:/s:ro']}}": set(),
    "volumes: ['./data:/d'], secrets: [s]}}\nsecrets: {s: {file: ./data/s}}": {"replaceable:{folder}/data/s"},
    "volumes: ['./data:/d'], configs: [c]}}\nconfigs: {c: {file: ./data/s}}": {"replaceable:{folder}/data/s"},
    "volumes: ['./app:/d'], build: app}}": set(),
    "volumes: ['./data:/d'], env_file: data/s}}": {"replaceable:{folder}/data/s"},
    "volumes: [data:/d], secrets: [s]}}\nsecrets: {s: {file: ./data/s}}\nvolumes: "
    "{data: {driver_opts: {type: none, o: bind, device: '${STACK}/data'}}}": {
        "volume:data",
        "replaceable:{folder}/data/s",
    },
}


# What each case has for itself: the number of the case is added, and tells in an entry which case it is of.
OWN = re.compile(r"(?<![a-z])(web|data|app|own|more|theirs|to-sub|n|s|c)(?![a-z])|docker-compose(?=\.yml)")
# No two of a group may speak of the default network; and who writes the whole folder writes what others bind.
APART = ("}}\nnetworks: {default: {external", "volumes: ['.:/d']")
GROUPS = {
    "together": [rest for rest in MODELS if not rest.startswith(APART)],
    **{beginning: [rest for rest in MODELS if rest.startswith(beginning)] for beginning in APART},
}


def of_case(number: int, text: str) -> str:
    return OWN.sub(rf"\g<0>{number}", text)


def lay_out(environment: Environment, numbers: Sequence[int]) -> Environment:
    """Make what the cases name, a compose file for each; the bot's state lies in the stack's folder, as shipped."""
    folder = environment.folder
    (folder / "state" / "models").mkdir(parents=True)
    (folder / "state" / "journal").write_text("A=1\n")
    (folder / "link").symlink_to("state")
    files = []
    for number, (rest, _) in enumerate(MODELS.items()):
        if number not in numbers:
            continue
        (folder / f"app{number}").mkdir()
        (folder / f"app{number}" / "Dockerfile").write_text("FROM tiny:v1\n")
        (folder / f"data{number}" / "sub").mkdir(parents=True)
        (folder / f"data{number}" / f"s{number}").write_text("A=1\n")
        (folder / f"to-sub{number}").symlink_to(f"data{number}/sub")
        (folder / "state" / f"more{number}.yml").write_text(f"services: {{web{number}: {{image: 'tiny:v1'}}}}")
        (folder / f"own{number}.yml").write_text(f"services: {{db{number}: {{image: 'tiny:v1'}}}}")
        # What is built has a name that no image has: of one that is there, containerd does not tell whose it is.
        image = f"{environment.project}{number}:v1" if "build" in rest else "tiny:v1"
        files.append(folder / f"docker-compose{number}.yml")
        files[-1].write_text(of_case(number, f"services: {{web: {{image: '{image}', {rest}\n"))
    # At home, where alone an entry gives what is the bot's.
    return replace(environment, compose_files=tuple(files), variables={"STACK": str(folder)}, is_home=True)


@pytest.mark.parametrize("cases", GROUPS.values(), ids=GROUPS.keys())
async def test_compose_means_what_is_refused(stack: Stack, cases: list[str]) -> None:
    """Every form that Compose takes is refused until the very entry that is told allows it."""
    numbers = [number for number, rest in enumerate(MODELS) if rest in cases]
    laid_out = lay_out(stack(PLAIN), numbers)
    wanted = [of_case(number, entry) for number in numbers for entry in [*MODELS.values()][number]]
    expected = {entry.replace("{folder}", str(laid_out.folder)) for entry in wanted}
    found: set[str] = set()
    for _ in ("what the files say", "what Compose makes of them", "nothing more"):
        state_dir = laid_out.folder / "state"
        async with open_stacks(state_dir, *found) as made:
            refused_now = await resolved_entries(made, laid_out)
        assert not refused_now & found, "what was told does not allow it"
        found |= refused_now
    assert found == expected
    assert not refused_now


async def test_a_volume_with_options_is_found(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    """A volume that exists keeps its options, whatever the compose file says of it today."""
    environment = stack(f"{PLAIN[:-2]}, volumes: ['data:/d']}}}}\nvolumes: {{data: }}")
    labels = {"com.docker.compose.project": environment.project, "com.docker.compose.volume": "data"}
    options = {"type": "proc", "device": "proc"}
    docker_client.volumes.create(f"{environment.project}_data", driver="local", driver_opts=options, labels=labels)
    for write in (False, True):
        with pytest.raises(ComposePolicyError, match="has `driver_opts`: device=proc, type=proc") as caught:
            await engine.of(environment).resolve(None, write_contents=write)
        assert refused(caught) == {"volume:data"}


async def test_a_volume_of_others_is_found(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    environment = stack(f"{PLAIN[:-2]}, volumes: ['data:/d']}}}}\nvolumes: {{data: }}")
    name = f"{environment.project}_data"
    volume = docker_client.volumes.create(name)
    try:
        assert await resolved_entries(engine, environment) == {f"external_volume:{name}"}
    finally:
        volume.remove()
    await deploy(engine, environment, started=False)
    assert await resolved_entries(engine, environment) == set()


async def test_the_name_of_others_is_refused(
    engine: Stacks, stack: Stack, docker_client: docker.DockerClient, busybox_image: str
) -> None:
    environment = stack(PLAIN)
    other = f"{environment.project}x"
    labels = {"com.docker.compose.project": other}
    held = docker_client.containers.create(busybox_image, name=f"{other}-db-1", labels=labels)
    by_hand = docker_client.containers.create(busybox_image, name=f"{other}.database")
    try:
        for name, wanted in (
            (f"{other}-db-1", {"container_name:web"}),
            (f"{other}.database", {"container_name:web"}),
            (f"{other}-cache-2", {"container_name:web"}),
            (f"{environment.project}-own", set()),
        ):
            stack(f"services: {{web: {{image: 'tiny:v1', container_name: {name}}}}}")
            assert await resolved_entries(engine, environment) == wanted
    finally:
        held.remove(force=True)
        by_hand.remove(force=True)


async def test_a_swapped_link_is_not_bound(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    """A container of the release before still writes the folder that the next one would bind from."""
    environment = stack(f"{PLAIN[:-2]}, volumes: ['./data:/data']}}}}")
    (environment.folder / "data" / "sub").mkdir(parents=True)
    await deploy(engine, environment)
    (web,) = await engine.of(environment).containers()
    second = "services: {web: {image: 'tiny:v1'}, reader: {image: 'tiny:v1', volumes: ['./data/sub:/host']}}"
    environment.compose_files[0].write_text(second)
    sub = environment.folder / "data" / "sub"
    assert await resolved_entries(engine, environment) == {f"replaceable:{sub}"}
    code, _ = docker_client.containers.get(web.id).exec_run(["sh", "-c", "rmdir /data/sub && ln -s / /data/sub"])
    assert code == 0
    assert sub.resolve() == Path("/")
    with pytest.raises(ComposePolicyError):
        await engine.of(environment).resolve(None)


async def test_a_shared_folder_is_bound_twice(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    environment = stack(
        "services: {web: {image: 'tiny:v1', volumes: ['./data:/data']}, "
        "reader: {image: 'tiny:v1', volumes: ['./data:/data:ro']}}"
    )
    (environment.folder / "data").mkdir()
    await deploy(engine, environment, started=False)
    for found in await engine.of(environment).containers():
        (mount,) = docker_client.api.inspect_container(found.id)["Mounts"]
        assert mount["Source"] == str(environment.folder / "data")


async def test_what_one_service_may_is_not_taken_from_it(stack: Stack, tmp_path: Path) -> None:
    """The bot's service has the socket and the state; `volumes_from` would give them to another one."""
    environment = stack(
        "services: {bot: {image: 'tiny:v1', volumes: ['/var/run/docker.sock:/s', './state:/state']}, "
        "web: {image: 'tiny:v1', volumes_from: ['bot:ro']}}"
    )
    environment = replace(environment, is_home=True)
    allowed = ("docker_socket:bot", "state_dir:bot")
    async with open_stacks(environment.folder / "state", *allowed) as made:
        assert await resolved_entries(made, environment) == {"docker_socket:web", "state_dir:web"}


async def test_a_look_without_an_engine_judges_the_files(engine: Stacks, stack: Stack, tmp_path: Path) -> None:
    nowhere = replace(stack(PLAIN), docker_host=f"unix://{tmp_path}/nowhere.sock")
    assert await resolved_entries(engine, nowhere) == set()
    with pytest.raises(RoasError, match="does not answer"):
        await engine.of(nowhere).resolve(None)
