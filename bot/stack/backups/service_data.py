"""Back up and restore the data of a stack's services, by commands in their containers or by copies of volumes."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import IO

from roas.concurrency import in_thread
from roas.errors import BackupError, EngineError
from roas.limits import DATA_TIMEOUT_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.backup import DataBackup, VolumeUser
from roas.models.health import ContainerState
from roas.models.stack import BackupRule
from roas.stack.backups.container_command import run_in_container, wait_until_none_runs
from roas.stack.backups.encryption import check_encrypted, opened, read_key, sealed
from roas.stack.backups.files import BackupFiles, BackupWriter
from roas.stack.backups.scratch_container import ANYBODY, remove_scratch_of, run_in_scratch
from roas.stack.backups.volume_helper import VolumeHelper
from roas.stack.containers.snapshots import take_snapshots
from roas.stack.docker.engine import Engine

log = get_logger(__name__)

# A restore builds indexes again, and may take so many times as long as the backup took.
RESTORE_FACTOR = 10


def restore_seconds(backup: DataBackup) -> float:
    """Return how long a service may take to read a backup."""
    return max(DATA_TIMEOUT_SECONDS, RESTORE_FACTOR * backup.seconds)


def saving_seconds(rule: BackupRule) -> float:
    """Return how long it may take to write a backup, and to verify it."""
    return rule.timeout_seconds * (2 if rule.verify else 1)


@dataclass(frozen=True, slots=True)
class SavedData:
    """Say how large a backup is, what its hash is, how long it took, and for which key it is encrypted."""

    size: int
    sha256: str
    seconds: float
    recipient: str = ""


class ServiceData:
    """Let services of one stack write and read their data by the commands that their files name, or copy volumes."""

    def __init__(self, engine: Engine, files: BackupFiles) -> None:
        self._engine = engine
        self._volumes = VolumeHelper(engine)
        self.files = files

    async def find_container(self, service: str, rule: BackupRule, hint: str) -> str | None:
        """Return the id of the container in which commands run; None where the service has none at all.

        Of volumes, it is the container whose image copies them, running or not. Raises BackupError, with a hint, where
        none runs that has to.
        """
        there = await take_snapshots(self._engine, service)
        if rule.volumes and there:
            return await self._find_helper(service, rule)
        running = next((container.id for container in there if container.state is ContainerState.RUNNING), None)
        if there and running is None:
            raise BackupError(
                said("The data of {service} is out of reach: it does not run.", service=service),
                hint=hint,
                service=service,
            )
        return running

    async def _find_helper(self, service: str, rule: BackupRule) -> str:
        there = await take_snapshots(self._engine, rule.helper)
        if not there:
            raise BackupError(
                said(
                    "{helper}, whose image copies the data of {service}, has no container.",
                    helper=rule.helper,
                    service=service,
                ),
                hint=said("Deploy {helper} first, and name it as `helper` after that.", helper=rule.helper),
                service=service,
            )
        return there[0].id

    async def existing(self, rule: BackupRule) -> BackupRule:
        """Return a rule with those of its volumes that there are: whoever mounts another one would make it."""
        return replace(rule, volumes=await self._volumes.existing(rule.volumes))

    async def users(self, service: str, volumes: Collection[str]) -> tuple[VolumeUser, ...]:
        """Return the containers that mount volumes of a service. Raises BackupError where one may not be stopped."""
        async with self._working(service, said("reached"), DATA_TIMEOUT_SECONDS):
            return await self._volumes.users(tuple(volumes))

    async def volume_sizes(self, volumes: Collection[str]) -> Mapping[str, int]:
        """Return how many bytes volumes hold; not of those of which the engine does not say so soon."""
        try:
            return await self._volumes.sizes(volumes)
        except EngineError as error:
            log.info("volumes are not measured", error=error.message)
            return {}

    async def save(
        self,
        backup_id: str,
        service: str,
        rule: BackupRule,
        container_id: str,
        still: AbstractAsyncContextManager[None] | None = None,
    ) -> SavedData:
        """Write the data of a service into a new file, encrypted where it has a key, and let its `verify` read that.

        What writes into its volumes stands `still` while they are copied, and no longer. Raises BackupError,
        EngineUnavailableError.
        """
        began = time.monotonic()
        async with self._working(service, said("backed up"), saving_seconds(rule)):
            key = await self._engine.local(lambda: read_key(rule.key)) if rule.key else None
            if not rule.volumes:
                await wait_until_none_runs(self._engine, container_id, rule.command)
            async with self._writing(backup_id, rule) as writer:
                async with sealed(key, writer) as target:
                    if rule.volumes:
                        await self._volumes.save(container_id, rule.volumes, target.write, still or nullcontext())
                    else:
                        await run_in_container(self._engine, container_id, rule.command, sink=target.write)
                    if not target.size:
                        raise BackupError(said("the command has written nothing"))
                recipient = "" if key is None else key.recipients[0]
                saved = SavedData(writer.size, writer.digest.hexdigest(), time.monotonic() - began, recipient)
                if rule.verify:
                    with await in_thread(writer.reopen) as file:
                        await self._try_out(rule, container_id, file, recipient, self._engine.project)
        return saved

    async def try_out(self, backup: DataBackup) -> None:
        """Let the `verify` of a backup, where there is one, read it, in the image that its service or helper has now.

        Raises BackupError, EngineUnavailableError.
        """
        rule = await self.rule_of(backup)
        if not rule.verify:
            return
        async with self._working(backup.service, said("verified"), rule.timeout_seconds):
            # A copy of volumes is read by the image that made it.
            if (container_id := await self._any_container(rule.helper or backup.service)) is None:
                raise BackupError(said("it has no container, whose image would be used"))
            with self.files.reading(backup) as file:
                await self._try_out(rule, container_id, file, backup.recipient, ANYBODY)

    async def _any_container(self, service: str) -> str | None:
        """Return the id of a container of a service, running or not."""
        return next((container.id for container in await take_snapshots(self._engine, service)), None)

    async def _try_out(self, rule: BackupRule, container_id: str, file: IO[bytes], recipient: str, owner: str) -> None:
        image = await self._engine.call(lambda client: str(client.inspect_container(container_id)["Image"]))
        async with opened(file, recipient, rule.key) as source:
            try:
                await run_in_scratch(self._engine, image, rule.verify, source, owner)
            except BackupError as error:
                text = said("`verify` did not take it: {reason}", reason=error.message)
                raise BackupError(text, report=error.report) from error

    async def rule_of(self, backup: DataBackup) -> BackupRule:
        """Return how a backup is restored. Raises BackupError."""
        return await self._engine.local(lambda: self.files.rule_of(backup))

    @asynccontextmanager
    async def _writing(self, backup_id: str, rule: BackupRule) -> AsyncIterator[BackupWriter]:
        """Write a file whose syncing, which may take long, happens in a thread."""
        writing = self.files.writing(backup_id, rule, self._engine.environment.name)
        writer = await in_thread(writing.__enter__)
        try:
            yield writer
        except BaseException as error:
            await in_thread(writing.__exit__, type(error), error, error.__traceback__)
            raise
        await in_thread(writing.__exit__, None, None, None)

    async def clear_unfinished(self) -> None:
        """Remove what processes that died left of backups of this stack, whose lock is held. Raises BackupError."""
        await self._volumes.remove_left()
        await remove_scratch_of(self._engine, self._engine.project)
        await self._engine.local(lambda: self.files.clear_unfinished(self._engine.environment.name))

    async def restore(self, backup: DataBackup, container_id: str) -> None:
        """Let a service read its data from a backup. Raises BackupError, EngineUnavailableError.

        A run that a process which died has begun ends first: it has no more to read.
        """
        rule = await self.rule_of(backup)
        async with self._working(backup.service, said("restored"), restore_seconds(backup)):
            if not rule.volumes:
                await wait_until_none_runs(self._engine, container_id, rule.restore)
            with self.files.reading(backup) as file:
                async with opened(file, backup.recipient, rule.key) as source:
                    if rule.volumes:
                        await self._volumes.restore(container_id, rule.volumes, source)
                    else:
                        await run_in_container(self._engine, container_id, rule.restore, source=source)

    async def verify(self, backup: DataBackup) -> None:
        """Read a whole backup. Raises BackupError where it is not what was written, or cannot be decrypted."""
        await self._engine.local(lambda: self._verify(backup))

    def _verify(self, backup: DataBackup) -> None:
        self.files.verify(backup)
        if not backup.recipient:
            return
        with self.files.reading(backup) as file:
            try:
                check_encrypted(file, backup.recipient, self.files.rule_of(backup).key)
            except BackupError as error:
                text = said("{path} cannot be read: {reason}", path=backup.id, reason=error.message)
                raise BackupError(text, hint=error.hint, service=backup.service) from error

    async def clear(self, kept: Collection[str], dropped: Collection[str] = (), chosen_at: str = "") -> None:
        """Remove the files of backups that are not kept; see `BackupFiles.clear`. Raises BackupError."""
        await self._engine.local(lambda: self.files.clear(kept, dropped, chosen_at))

    @asynccontextmanager
    async def _working(self, service: str, what: str, seconds: float) -> AsyncIterator[None]:
        """Limit the time, and say whose data it is that there is trouble with."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            text = said(
                "The data of {service} was not {what} within {seconds} s.",
                service=service,
                what=what,
                seconds=f"{seconds:.0f}",
            )
            raise BackupError(text, service=service) from error
        except BackupError as error:
            text = said(
                "The data of {service} was not {what}: {reason}", service=service, what=what, reason=error.message
            )
            raise BackupError(text, hint=error.hint, service=service, report=error.report) from error
