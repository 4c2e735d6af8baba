# syntax=docker/dockerfile:1
# One image for every role: `cuepoint worker ROLE`, `cuepoint api`, `cuepoint ingest`, ...
FROM python:3.11.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/cuepoint
WORKDIR /src
COPY requirements/build.lock requirements/run.lock requirements/
RUN python -m pip install --require-hashes --no-deps -r requirements/build.lock \
 && /opt/cuepoint/bin/python -m pip install --require-hashes --no-deps -r requirements/run.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY cuepoint cuepoint
COPY schemas schemas
COPY models models
COPY streams streams
COPY agents agents
COPY ops ops
RUN python -m pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
 && /opt/cuepoint/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
 && /opt/cuepoint/bin/cuepoint --help > /dev/null

FROM python:3.11.11-slim-bookworm
RUN groupadd --system --gid 10001 cuepoint \
 && useradd --system --uid 10001 --gid cuepoint --home-dir /var/lib/cuepoint --shell /usr/sbin/nologin cuepoint \
 && install -d -o cuepoint -g cuepoint /var/lib/cuepoint /var/lib/consumption
COPY --from=build /opt/cuepoint /opt/cuepoint
COPY ops/deploy/healthcheck.py /opt/cuepoint/healthcheck.py
ENV PATH=/opt/cuepoint/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    CUEPOINT_DATA_DIR=/var/lib/cuepoint \
    CUEPOINT_METRICS_HOST=0.0.0.0 \
    CUEPOINT_METRICS_PORT=9100 \
    CUEPOINT_API_HOST=0.0.0.0 \
    CUEPOINT_API_PORT=8700
USER 10001:10001
WORKDIR /var/lib/cuepoint
VOLUME /var/lib/cuepoint
EXPOSE 8700 9100
STOPSIGNAL SIGTERM
# The command's role decides what is asked: /readyz of the API, /metrics of a worker; a one-shot command has nothing to ask.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-IS", "/opt/cuepoint/healthcheck.py"]
ENTRYPOINT ["cuepoint"]
CMD ["--help"]
