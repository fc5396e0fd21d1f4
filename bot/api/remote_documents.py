"""Define what goes through the API on TCP, both ways, and describe it as OpenAPI."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from roas.models.candidate import Candidate, CandidateState, SourceAction, SourceMode
from roas.models.deployment import Deployment, Outcome
from roas.version import __version__

LONGEST_WAIT_SECONDS = 60
ENDED_BADLY = frozenset(
    {CandidateState.SKIPPED, CandidateState.SUPERSEDED, CandidateState.HELD, CandidateState.REFUSED}
)
ServiceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Document(BaseModel):
    """Ignore the keys of a newer version."""

    model_config = ConfigDict(frozen=True, cache_strings="keys")


class Offer(Document, extra="forbid"):
    """Offer a version to an environment; a key that is not meant is a mistake."""

    environment: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="Which environment.")
    version: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$", description="What becomes VERSION in the compose file."
    )
    services: tuple[ServiceName, ...] = Field(default=(), max_length=200, description="Only these; all by default.")
    reason: str = Field(
        default="", max_length=500, pattern=r"^[^\r\n]*$", description="Why; the channel and the history show it."
    )
    repository: str = Field(default="", max_length=200, description="Such as acme/shop.")
    commit: str = Field(default="", pattern=r"^([0-9a-f]{7,64})?$", description="Which commit it was made of.")
    ref: str = Field(default="", max_length=200, description="Of which branch or tag.")
    url: str = Field(
        default="", max_length=508, pattern=r"^(https?://\S+)?$", description="Where the job is to be seen."
    )


class PhaseStatus(Document):
    """Say how far a phase has come."""

    name: str
    status: str
    attempts: int
    duration_seconds: float | None
    summary: str


class ServiceStatus(Document):
    """Say how far a service has come."""

    service: str
    step: str
    detail: str


class DeploymentStatus(Document):
    """Say how far a deployment has come; `outcome` is missing until it has ended."""

    id: str
    outcome: str | None
    phases: tuple[PhaseStatus, ...]
    services: tuple[ServiceStatus, ...]
    from_release: int | None
    to_release: int | None
    message: str = Field(description="What went wrong.")
    hint: str
    duration_seconds: float | None


class OfferStatus(Document):
    """Say what has become of an offer; `revision` is another one with each change."""

    id: str
    environment: str
    version: str
    state: str = Field(
        description="new, proposed, later, waiting, confirmed, starting, deploying, awaiting_approval, succeeded, "
        "rolled_back, failed, cancelled, unchanged, skipped, superseded, held or refused."
    )
    note: str
    ended: bool
    deployment: DeploymentStatus | None
    revision: str


class EnvironmentView(Document):
    """Say how an environment is that the source may offer versions to."""

    name: str
    mode: SourceMode
    actions: tuple[SourceAction, ...]
    release: int | None
    version: str
    deployment: str | None = Field(description="The one under way.")
    frozen: str = Field(description="Why nobody may deploy; empty where they may.")
    holds: tuple[str, ...] = Field(description="The versions that are kept out.")
    since: datetime | None = Field(description="When the release was made; it may run again since later.")


class EnvironmentList(Document):
    """List the environments that the source may offer versions to."""

    environments: tuple[EnvironmentView, ...]


class HookAnswer(Document):
    """Say what becomes of a webhook's delivery."""

    delivery: str
    note: str


class FaultAnswer(Document):
    """Say what is wrong, and what to do."""

    key: str
    message: str
    hint: str = ""


def offer_status(candidate: Candidate, deployment: Deployment | None) -> OfferStatus:
    """Return what has become of a candidate, and of the deployment that was started for it."""
    state, note = candidate.state.value, candidate.note.strip()
    ended = candidate.state in ENDED_BADLY or candidate.state is CandidateState.UNCHANGED
    status = None
    if deployment is not None:
        under_way = "awaiting_approval" if deployment.awaits_approval else "deploying"
        state = deployment.outcome.value if deployment.outcome is not None else under_way
        ended, status = deployment.finished, _deployment_status(deployment)
    elif candidate.state is CandidateState.STARTED:
        state = "deploying"
    text = f"{state}\0{note}\0{status.model_dump_json() if status is not None else ''}"
    return OfferStatus(
        id=candidate.id,
        environment=candidate.environment,
        version=candidate.version,
        state=state,
        note=note,
        ended=ended,
        deployment=status,
        revision=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _deployment_status(deployment: Deployment) -> DeploymentStatus:
    problem = deployment.problem if deployment.outcome is not Outcome.SUCCEEDED else None
    return DeploymentStatus(
        id=deployment.id,
        outcome=deployment.outcome.value if deployment.outcome is not None else None,
        phases=tuple(
            PhaseStatus(
                name=phase.name.value,
                status=phase.status.value,
                attempts=phase.attempts,
                duration_seconds=phase.duration_seconds,
                summary=phase.summary,
            )
            for phase in deployment.phases
        ),
        services=tuple(
            ServiceStatus(service=service.service, step=service.step.value, detail=service.detail)
            for service in deployment.services
        ),
        from_release=deployment.from_release,
        to_release=deployment.to_release,
        message=problem.message if problem is not None else "",
        hint=problem.hint if problem is not None else "",
        duration_seconds=deployment.duration_seconds,
    )


def openapi() -> dict[str, Any]:
    """Return the description of every route, from the documents themselves."""
    kinds = (Offer, OfferStatus, EnvironmentList, HookAnswer, FaultAnswer)
    _keys, schemas = models_json_schema(
        [(kind, "validation") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    wait = {"name": "wait", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS}}
    seen = {"name": "seen", "in": "query", "schema": {"type": "string"}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ROAS Bot", "version": __version__},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"source": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"source": []}],
        "paths": {
            "/v1/deployments": {
                "post": _route("Deploy a version; where a person has to decide, propose it.", 202, OfferStatus, Offer)
                | {"parameters": [key]}
            },
            "/v1/proposals": {
                "post": _route("Propose a version to the people in the channel.", 202, OfferStatus, Offer)
                | {"parameters": [key]}
            },
            "/v1/deployments/{id}": {
                "get": _route(
                    "Say what has become of an offer; with `wait`, once it is another than `seen`.", 200, OfferStatus
                )
                | {"parameters": [_path("id"), wait, seen]}
            },
            "/v1/environments": {"get": _route("List the environments of the source.", 200, EnvironmentList)},
            "/v1/hooks/{source}": {
                "post": _route("Take a webhook, signed as its source signs.", 202, HookAnswer)
                | {"parameters": [_path("source")], "security": []}
            },
            "/v1/hooks/{source}/{secret}": {
                "post": _route("Take a webhook of a source that signs nothing.", 202, HookAnswer)
                | {"parameters": [_path("source"), _path("secret")], "security": []}
            },
        },
    }


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _route(summary: str, status: int, answer: type[Document], body: type[Document] | None = None) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": summary,
        "responses": {
            str(status): {"description": "What was asked for.", **_content(answer)},
            "default": {"description": "Why not.", **_content(FaultAnswer)},
        },
    }
    if body is not None:
        described["requestBody"] = {"required": True, **_content(body)}
    return described


def _content(kind: type[Document]) -> Mapping[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}}
