"""Keep what the journal answered while nobody writes to it: a bot at rest asks the same again and again.

What this process writes counts at once. What another process writes counts from this one's next beat, less than two
seconds later. So it is for who looks at something every so often, and never for who is about to change something by
the answer: that one asks the journal itself.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import ParamSpec, TypeVar, cast

from roas.models.holding import Holding
from roas.models.release import Release
from roas.state.deployment_reader import DeploymentReader
from roas.state.releases import Releases

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class KeptAnswers:
    """Ask the journal, or give its last answer; `mark` is another one once anybody wrote, and None where none knows."""

    def __init__(self, mark: Callable[[], Hashable | None], releases: Releases, deployments: DeploymentReader) -> None:
        self._mark = mark
        self._releases = releases
        self._deployments = deployments
        self._answers: dict[object, object] = {}
        self._kept_at: Hashable | None = None

    async def ask(
        self, question: Callable[Asked, Awaitable[Answer]], *asked: Asked.args, **options: Asked.kwargs
    ) -> Answer:
        """Return what a reading of the journal returns, which must depend on nothing else. Raises what that raises."""
        mark = self._mark()
        if mark is None:
            return await question(*asked, **options)
        if mark != self._kept_at:
            self._answers.clear()
            self._kept_at = mark
        key = (question, asked, tuple(options.items()))
        if key in self._answers:
            return cast("Answer", self._answers[key])
        answer = await question(*asked, **options)
        if mark == self._kept_at:  # else somebody has written, and others have asked since
            self._answers[key] = answer
        return answer

    async def released(self) -> frozenset[str]:
        """Return the names of the environments that are on a release."""
        return await self.ask(self._releases.released)

    async def current(self, environment: str) -> Release | None:
        """Return the release that the environment is on, or None before the first."""
        return await self.ask(self._releases.current, environment)

    async def get(self, environment: str, number: int) -> Release | None:
        """Return one release, or None."""
        return await self.ask(self._releases.get, environment, number)

    async def applied_model(self, environment: str) -> str | None:
        """Return the hash of the model that the environment runs, or None before the first release."""
        return await self.ask(self._releases.applied_model, environment)

    async def applied_by_environment(self) -> dict[str, str]:
        """Return the hash of the model that each environment runs; one that is on no release runs none."""
        return await self.ask(self._releases.applied_by_environment)

    async def holding(self, environment: str) -> Holding | None:
        """Return what the deployment that holds an environment holds of it, or None where none does."""
        return await self.ask(self._deployments.holding, environment)
