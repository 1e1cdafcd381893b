# OpenBao as the suite runs it, with its agent, for one machine. A cluster uses a Vault of its own.
# Build from the repository root: docker build -f docker/openbao.Dockerfile .
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/preceptor && python -m venv /build
COPY docker/build.txt docker/
COPY requirements/cli.txt requirements/
RUN /build/bin/pip install --require-hashes -r docker/build.txt
RUN /opt/preceptor/bin/pip install --require-hashes -r requirements/cli.txt
COPY libs libs
COPY cli cli
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels \
        ./libs/service-contracts ./libs/service-runtime ./cli && \
    /opt/preceptor/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin preceptor && \
    install -d -o 10001 -g 10001 -m 0700 /var/lib/preceptor /run/preceptor
COPY --from=build /opt/preceptor /opt/preceptor
COPY policies/vault /etc/preceptor/policies
COPY docker/run_openbao.py /etc/preceptor/
ENV PATH=/opt/preceptor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
CMD ["python", "/etc/preceptor/run_openbao.py"]
