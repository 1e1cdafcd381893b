# The Ray cluster: one image for the head and for all four Serve applications, because Ray builds an application on
# any node. torch comes with its CUDA libraries, 7 GB unpacked. Build from the repository root:
# docker build -f docker/ray.Dockerfile .
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/preceptor && python -m venv /build
COPY docker/build.txt docker/
COPY requirements/adapter-serving.txt requirements/retrieval.txt requirements/reconciliation.txt \
    requirements/triage.txt requirements/cli.txt requirements/
RUN /build/bin/pip install --require-hashes -r docker/build.txt
RUN /opt/preceptor/bin/pip install --require-hashes -r requirements/adapter-serving.txt -r requirements/retrieval.txt \
        -r requirements/reconciliation.txt -r requirements/triage.txt -r requirements/cli.txt
COPY libs libs
COPY cli cli
COPY services/adapter-serving services/adapter-serving
COPY services/retrieval services/retrieval
COPY services/reconciliation services/reconciliation
COPY services/triage services/triage
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels \
        ./libs/service-contracts ./libs/service-runtime ./cli \
        ./services/adapter-serving ./services/retrieval ./services/reconciliation ./services/triage && \
    /opt/preceptor/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
# Ray asks the password database who it runs as.
RUN useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin preceptor && \
    install -d -o 10001 -g 10001 -m 0700 /var/lib/preceptor /run/preceptor
COPY --from=build /opt/preceptor /opt/preceptor
COPY docker/ray-local.sh docker/serve.yaml services/adapter-serving/model-requirements.txt /etc/preceptor/
ENV PATH=/opt/preceptor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
EXPOSE 8000
# KubeRay gives its own command; this one is for one machine.
CMD ["sh", "/etc/preceptor/ray-local.sh"]
