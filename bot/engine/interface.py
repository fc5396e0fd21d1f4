"""Define what a deployment needs of an engine; the phases know no more than this."""

from typing import Protocol

from roas.engine.engine_actor import EngineActor, ProgressReport
from roas.engine.engine_reader import ContainerEvent, EngineReader, SweptContainers
from roas.engine.release_store import FoundStack, ReleaseDraft, ReleaseStore, ResolvedStack

__all__ = (
    "ContainerEvent",
    "Engine",
    "EngineActor",
    "EngineReader",
    "FoundStack",
    "ProgressReport",
    "ReleaseDraft",
    "ReleaseStore",
    "ResolvedStack",
    "SweptContainers",
)


class Engine(EngineReader, EngineActor, ReleaseStore, Protocol):
    """Run stacks. Whoever needs a part of this asks for that part alone."""
