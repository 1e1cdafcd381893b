# The facade: no Ray, no torch. Build from the repository root: docker build -f docker/facade.Dockerfile .
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/preceptor && python -m venv /build
COPY docker/build.txt docker/
COPY requirements/facade.txt requirements/
RUN /build/bin/pip install --require-hashes -r docker/build.txt
RUN /opt/preceptor/bin/pip install --require-hashes -r requirements/facade.txt
COPY libs libs
COPY services/facade services/facade
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels \
        ./libs/fhir-support ./libs/service-contracts ./libs/service-runtime ./services/facade && \
    /opt/preceptor/bin/pip install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin preceptor && \
    install -d -o 10001 -g 10001 -m 0700 /var/lib/preceptor /run/preceptor
COPY --from=build /opt/preceptor /opt/preceptor
ENV PATH=/opt/preceptor/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "facade"]
