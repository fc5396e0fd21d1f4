"""Hold a slot of the machine for the time of a `with` block, and leave nothing of it: what private engines share."""

from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.leftovers import end_engine, remove_folder
from testbed.network import RUN_FOLDER, Slot, lock_slot, take_slot

DATA_NOTE = "data-folder"  # where a slot's engines keep their data, for cleaning up after a killed holder


class DaemonError(RuntimeError):
    """A private engine did not start or stop; the message ends with the last lines of its log."""


class SlotHolder(ABC):
    """Acquire a slot, begin on it, and end and clear it whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slot: Slot | None = None

    def __enter__(self) -> Self:
        """Acquire a slot and start."""
        self._slot = take_slot()
        try:
            clear_slot(self.slot)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.slot.folder.mkdir(mode=0o700, parents=True)
            (self.slot.folder / DATA_NOTE).write_text(str(self._data_folder))
            self.slot.make_bridge()
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and remove everything."""
        self.close()

    @property
    def slot(self) -> Slot:
        """Return the slot that is held."""
        if self._slot is None:
            raise DaemonError("what is private is not open: use it in a `with` block")
        return self._slot

    @property
    def host_address(self) -> str:
        """Return the address at which containers reach this machine."""
        return self.slot.address

    def close(self) -> None:
        """End what runs, and remove its containers, data, bridges and slot."""
        if self._slot is None:
            return
        try:
            self._end()
            clear_slot(self.slot)
        finally:
            self._slot.release()
            self._slot = None

    @property
    def _data_folder(self) -> Path:
        return self.folder

    @abstractmethod
    def _begin(self) -> None:
        """Start on the slot."""

    @abstractmethod
    def _end(self) -> None:
        """End what was started."""


def clear_slot(slot: Slot) -> None:
    """Remove what the engines of a slot left: those of its holder, or of a killed one before it."""
    if slot.folder.exists():  # what it has is ended before that goes
        end_engine(slot.folder, slot.name)
    with suppress(FileNotFoundError):
        remove_folder(Path((slot.folder / DATA_NOTE).read_text()))
    slot.remove_nodes()
    slot.remove_bridges()
    remove_folder(slot.folder)  # last: by its note the slot of one who is killed meanwhile is found


def clear_abandoned_slots() -> None:
    """Clear every slot whose holder was killed before it could."""
    for note in RUN_FOLDER.glob(f"*/{DATA_NOTE}"):
        slot = lock_slot(int(note.parent.name))
        if slot is None:
            continue
        try:
            clear_slot(slot)
        finally:
            slot.release()
