"""Copy volumes in a container that does nothing else: without network, and with no more rights than it takes.

It is of an image that the stack has already, by its ID, and waits; what it does are commands in it, which end with it.
Where the file system lets files share what they hold (reflinks, such as of XFS and Btrfs), a volume is first copied
like that, which takes a moment, and then read at leisure while its services run.
"""

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from docker.types import LogConfig, Mount

from roas.errors import BackupError
from roas.messages.message import said
from roas.models.backup import VolumeUser
from roas.models.health import ContainerState
from roas.stack.backups.container_command import run_in_container
from roas.stack.backups.streams import Sink, Source
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.snapshots import inspect_or_none
from roas.stack.docker.api_errors import BUSY_STATUSES, ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.helper_containers import remove_helper
from roas.stack.docker.labels import ONE_OFF, PROJECT, SERVICE
from roas.stack.docker.sdk import EngineClient

HELPER, LABEL = "roas-data", "roas.data"
VOLUMES = "/roas-volumes"
ROOT = "0:0"
# It reads its standard input, to which nobody writes: it waits until it is removed.
WAITING = ["cat"]
MOST_PROCESSES = 32
# To read and write what belongs to others, and to say to whom it belongs and what they may.
RIGHTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
# A volume of the helper's own, without a name: it goes with it.
ASIDE = "/roas-copy"
# Whether one of the files can be copied like that; and all of them.
TRY_REFLINK = (
    f'file=$(find {VOLUMES} -type f | head -n 1) && test -n "$file" && '
    f'cp --reflink=always "$file" {ASIDE}/try && rm {ASIDE}/try'
)
REFLINK = f"cp -a --reflink=always {VOLUMES}/. {ASIDE}/"
# Each volume is a folder of the archive, with its own owner and mode.
SAVE = ("tar", "-c", "-f", "-", "--numeric-owner", "-C")
# What is there goes first, whoever's `find` that is. Folders of the first level are the volumes: they stay.
RESTORE = (
    f"find {VOLUMES} -mindepth 2 -maxdepth 2 -exec rm -rf {{}} + && "
    f'test -z "$(find {VOLUMES} -mindepth 2 | head -n 1)" && '
    f"tar -x -p -f - --numeric-owner -C {VOLUMES} && sync"
)
NEEDS = said(
    "The image of the service needs `sh`, `cat`, `tar`, `find` and `sync`. Where it lacks them, name another service "
    "whose image has them by `helper` in `x-deploy.backup`."
)


class VolumeHelper:
    """Copy volumes of one stack out of the engine and back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def save(
        self, container_id: str, volumes: Sequence[str], sink: Sink, still: AbstractAsyncContextManager[None]
    ) -> None:
        """Give the content of volumes, as a tar archive, to `sink`. Raises BackupError, EngineUnavailableError.

        The helper is of the image of that container. What writes into the volumes stands `still` no longer than needed.
        """
        async with self._running(container_id, volumes, read_only=True) as helper:
            is_aside = await self._succeeds(helper, TRY_REFLINK)
            async with still:
                is_aside = is_aside and await self._succeeds(helper, REFLINK)
                if not is_aside:
                    await self._run(helper, (*SAVE, VOLUMES, *volumes), sink=sink)
            if is_aside:
                await self._run(helper, (*SAVE, ASIDE, *volumes), sink=sink)

    async def restore(self, container_id: str, volumes: Sequence[str], source: Source) -> None:
        """Let volumes have nothing but what an archive has. Raises BackupError, EngineUnavailableError."""
        async with self._running(container_id, volumes, read_only=False) as helper:
            await self._run(helper, ("sh", "-c", RESTORE), source=source)

    async def users(self, volumes: Sequence[str]) -> tuple[VolumeUser, ...]:
        """Return the containers that mount volumes, running or not. Raises BackupError where one is not the stack's."""
        return await self._engine.call(lambda client: _users(client, self._engine.project, volumes))

    async def sizes(self, volumes: Collection[str]) -> Mapping[str, int]:
        """Return how many bytes volumes hold, of those of which the engine knows it. Raises EngineUnavailableError."""
        return await self._engine.call(lambda client: client.volume_sizes(volumes))

    async def existing(self, volumes: Sequence[str]) -> tuple[str, ...]:
        """Return those of the volumes that there are."""
        return await self._engine.call(lambda client: tuple(name for name in volumes if _exists(client, name)))

    async def remove_left(self) -> None:
        """Remove the helpers that processes which died have left; what they did has ended then."""
        await self._engine.act(lambda client: _remove_left(client, self._engine.project))

    @asynccontextmanager
    async def _running(self, container_id: str, volumes: Sequence[str], *, read_only: bool) -> AsyncIterator[str]:
        await self.remove_left()
        mounts = [
            Mount(f"{VOLUMES}/{name}", name, type="volume", read_only=read_only, no_copy=True) for name in volumes
        ]
        helper = await self._engine.act(lambda client: self._start(client, container_id, mounts))
        try:
            yield helper
        finally:
            await self._engine.act(lambda client: remove_helper(client, helper))

    def _start(self, client: EngineClient, container_id: str, mounts: Sequence[Mount]) -> str:
        name = f"{HELPER}-{self._engine.project}-{secrets.token_hex(6)}"
        try:
            client.create_container(
                client.inspect_container(container_id)["Image"],
                command=[],
                entrypoint=WAITING,
                user=ROOT,
                working_dir="/",
                stdin_open=True,
                name=name,
                # Compose gives its labels to the images that it builds, too.
                labels={LABEL: self._engine.project, PROJECT: "", SERVICE: ""},
                healthcheck={"test": ["NONE"]},
                host_config=_confinement(client, [*mounts, Mount(ASIDE, "", type="volume", no_copy=True)]),
            )
            client.start(name)
        except ApiError as error:
            remove_helper(client, name)
            if error.status in BUSY_STATUSES:
                raise
            reason = said("its helper cannot be started: {reason}", reason=error.explanation)
            raise BackupError(reason, hint=NEEDS) from error
        return name

    async def _run(self, helper: str, command: Sequence[str], **streams: Any) -> None:
        try:
            await run_in_container(self._engine, helper, command, **streams)
        except BackupError as error:
            raise BackupError(error.message, hint=NEEDS, report=error.report) from error

    async def _succeeds(self, helper: str, script: str) -> bool:
        try:
            await run_in_container(self._engine, helper, ("sh", "-c", script))
        except BackupError:
            return False
        return True


def _confinement(client: EngineClient, mounts: Sequence[Mount]) -> Any:
    return client.create_host_config(
        mounts=list(mounts),
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        cap_add=list(RIGHTS),
        security_opt=["no-new-privileges"],
        pids_limit=MOST_PROCESSES,
        ipc_mode="private",
        # What is in the volumes is in no file of the engine's.
        log_config=LogConfig(type=LogConfig.types.NONE),
    )


def _exists(client: EngineClient, volume: str) -> bool:
    try:
        client.inspect_volume(volume)
    except ApiNotFoundError:
        return False
    return True


def _users(client: EngineClient, project: str, volumes: Sequence[str]) -> tuple[VolumeUser, ...]:
    """Find the users of volumes. Raises BackupError for one that runs, and that nobody here may stop.

    Which there are is listed; how each is, it is asked itself: for a moment, a list has what was stopped as running.
    """
    found: dict[str, VolumeUser] = {}
    for volume in volumes:
        for listed in client.containers(all=True, filters={"volume": volume}):
            labels = listed.get("Labels") or {}
            mounts = [mount for mount in listed.get("Mounts") or () if mount.get("Name") == volume]
            if not mounts or _is_helper(listed) or (there := inspect_or_none(client, str(listed["Id"]))) is None:
                continue
            user = VolumeUser(
                str(listed["Id"]),
                labels.get(SERVICE, ""),
                ContainerState(there["State"]["Status"]),
                any(mount.get("RW") for mount in mounts) or (str(listed["Id"]) in found and found[listed["Id"]].writes),
                str(there["Name"]).lstrip("/"),
                str(there["State"]["StartedAt"]),
            )
            if user.runs:
                _refuse_foreign(user, listed, volume, project)
            found[user.container_id] = user
    return tuple(sorted(found.values(), key=lambda user: (user.service, user.container_id)))


def _is_helper(listed: dict[str, Any]) -> bool:
    # An image may bring the label along.
    names = listed.get("Names") or ()
    return LABEL in (listed.get("Labels") or {}) and any(name.startswith(f"/{HELPER}-") for name in names)


def _refuse_foreign(user: VolumeUser, listed: dict[str, Any], volume: str, project: str) -> None:
    labels, name = listed.get("Labels") or {}, user.name
    if labels.get(PROJECT) != project or labels.get(ONE_OFF) != "False":
        raise BackupError(
            said(
                "{container}, which is no service of this stack, uses the volume {volume}",
                container=name,
                volume=volume,
            ),
            hint=said("Stop it first: `docker stop {container}`.", container=name),
        )
    if user.container_id == own_container_id():
        raise BackupError(
            said("{service}, which is this bot itself, uses the volume {volume}", service=user.service, volume=volume)
        )


def _remove_left(client: EngineClient, project: str) -> None:
    for container in client.containers(all=True, filters={"label": f"{LABEL}={project}"}):
        if _is_helper(container):
            with suppress(ApiNotFoundError):
                client.remove_container(container["Id"], force=True, v=True)
