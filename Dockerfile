# The bot, with the Docker command line and Compose that it drives.
#
# PYTHON_IMAGE: any Debian-based image with Python 3.11 or newer. What it lacks of Docker's command line comes by apt.
# Build secrets, all optional: `ca` a bundle of certificates to trust (behind an inspecting proxy), `pip` a pip.conf.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.lock ./
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    export PIP_CERT=/etc/ssl/certs/ca-certificates.crt && \
    python3 -m venv /opt/roas && \
    /opt/roas/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock && \
    /opt/roas/bin/pip uninstall --yes --quiet pip

FROM ${PYTHON_IMAGE}
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    { command -v docker && command -v docker-compose && command -v git && command -v ssh && command -v restic; } >/dev/null || { \
    apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker-cli docker-compose git openssh-client restic && \
    rm -rf /var/lib/apt/lists/*; }
RUN groupadd --gid 10001 roas && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp roas
# The entrypoint leaves root behind: see there.
COPY --from=packages /opt/roas /opt/roas
COPY script/container-entrypoint /usr/local/bin/entrypoint
COPY script/container-pass-signals /usr/local/bin/pass-signals
COPY script/container-healthcheck /usr/local/bin/healthcheck
COPY script/container-roas /usr/local/bin/roas
COPY bot /opt/bot/roas
COPY cogs /opt/bot/roas/cogs
# `python -m bot`, as it was called until 0.1: in people's cron jobs, for one more release.
COPY script/container-roas /opt/bot/bot/__main__.py

ENV PATH=/opt/roas/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/bot \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DOCKER_CONFIG=/tmp/.docker \
    HTTP_HOST=0.0.0.0
# Python's image has no bytecode of Python's own modules, and nobody could write it later: whatever is loaded would be
# compiled at each start. What is imported here is compiled for good.
RUN python -m compileall -q /opt/bot && \
    PYTHONDONTWRITEBYTECODE= python -c 'import roas.cli as line; \
    line.application()'
WORKDIR /opt/bot
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --retries=3 --start-period=60s --start-interval=500ms CMD ["healthcheck"]
ENTRYPOINT ["entrypoint"]
CMD ["roas"]
# Last, so that another version of the same code is built in a moment.
ARG VERSION=dev
LABEL org.opencontainers.image.title="ROAS Bot" \
      org.opencontainers.image.description="Deploys, watches and rolls back a Docker Compose stack from Discord" \
      org.opencontainers.image.version="${VERSION}"
