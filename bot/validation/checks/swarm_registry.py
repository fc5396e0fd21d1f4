"""Say of which nodes it is known that they can pull the stack's images, as far as a manager knows that."""

from collections.abc import Iterable, Mapping

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.swarm import SwarmFacts
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject

DOCKER_HUB = "docker.io"


class SwarmRegistryCheck:
    """Read from tasks which nodes have had images of each registry: no manager can ask a node to pull."""

    name = "swarm_registry"
    severity = Severity.INFO

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Report, for each registry, the nodes that failed to pull, and those of which nothing is known."""
        facts = await subject.swarm() if subject.swarm is not None else None
        if facts is None or subject.stack is None:
            return []
        images = {registry_of(one.image): one.image for one in subject.stack.definitions.values()}
        return [self._judge(registry, image, facts) for registry, image in sorted(images.items())]

    def _judge(self, registry: str, image: str, facts: SwarmFacts) -> CheckResult:
        names = {node.id: node.hostname for node in facts.nodes if node.takes_tasks}
        own = [one for one in facts.traces if registry_of(one.image) == registry]
        had = _known(names, (one.node_id for one in own if one.has_image))
        failing = _known(names, (one.node_id for one in own if one.lacks_image))
        failing = [one for one in failing if one not in had]
        unknown = [one for one in names.values() if one not in had and one not in failing]
        if failing:
            text = said("{nodes} could not pull from {registry}.", nodes=listed(failing), registry=registry)
            remedy = said("Try it there: `docker pull {image}`.", image=image)
            return failed(self, text, remedy, Severity.WARNING)
        if unknown:
            text = said(
                "Whether {nodes} can pull from {registry} is not known: no task of an image from there has run on it.",
                nodes=listed(unknown),
                registry=registry,
            )
            return failed(self, text, said("Try it there: `docker pull {image}`.", image=image))
        return passed(self, said("All nodes have pulled from {registry}.", registry=registry))


def registry_of(image: str) -> str:
    """Return the registry of an image's reference."""
    first, _, rest = image.partition("/")
    is_host = bool(rest) and ("." in first or ":" in first or first == "localhost")
    return first if is_host else DOCKER_HUB


def _known(names: Mapping[str, str], node_ids: Iterable[str]) -> list[str]:
    return sorted({names[one] for one in node_ids if one in names})
