# A local stand-in for Plex with a demonstration world, not Plex: docs/how-to/test/containers.md.
#
#   docker build --tag ticketstub .
#   docker run --rm --publish 127.0.0.1:8190:8190 --publish 127.0.0.1:32400:32400 ticketstub

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/build.txt requirements/server.txt requirements/
# In two environments: what builds this project is not in the image.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.txt
RUN python -m venv /opt/ticketstub \
    && /opt/ticketstub/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/server.txt
COPY LICENSE README.md pyproject.toml ./
COPY src src
RUN /opt/build/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/ticketstub/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index wheels/*.whl

FROM python:3.13-slim
COPY --from=build /opt/ticketstub /opt/ticketstub
ENV PATH=/opt/ticketstub/bin:$PATH PYTHONUNBUFFERED=1
# For `serve --tls /tls`, what other containers are to trust: a new volume that is mounted there is this user's, too.
RUN useradd --system --uid 8190 --home-dir /srv/ticketstub --create-home ticketstub && install --directory --owner=ticketstub /tls
USER ticketstub
WORKDIR /srv/ticketstub
# plex.tv's port, the control API's where a key is given, the two media servers'; plex.tv by https and http with --tls.
EXPOSE 8190 8191 32400 32401 443 80
HEALTHCHECK --interval=2s --timeout=5s --retries=15 \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8190), 3)"]
ENTRYPOINT ["ticketstub"]
CMD ["serve", "--demo", "--host", "0.0.0.0", "--media-port", "32400", "--log"]
