# One image for every process of the platform; `tuneway run NAME` says which one a container is.
#
#   docker build -t tuneway .                                                      a site with a package mirror
#   docker build --build-context bundle=/media/tuneway-0123456789ab -t tuneway .    from an unpacked archive of `tuneway bundle`
#
# The base image by name and digest of the site's own registry: --build-arg BASE_IMAGE=NAME@sha256:... A Debian with Python 3.11
# whose package sources the site can reach and whose /etc/pip.conf names the site's certificates (`cert`), where it has its own.
# A mirror of Python packages comes in as pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS).
ARG BASE_IMAGE=python:3.11-slim-bookworm

# nothing, where no archive is given
FROM scratch AS bundle

FROM ${BASE_IMAGE} AS built
ARG PIP_INDEX_URL=""
ARG PIP_EXTRA_INDEX_URL=""
ARG PIP_FIND_LINKS=""
# celery or kubernetes: what that executor of Airflow needs beside (docs/scaling.md)
ARG EXECUTOR=""
# npm fetches Cerbos where no archive has it
# hadolint ignore=DL3008
RUN --mount=type=bind,from=bundle,target=/bundle \
    test -d /bundle/wheels || { apt-get update && apt-get install --yes --no-install-recommends npm; }
WORKDIR /app
COPY setup /app/setup
COPY requirements*.txt /app/
# models are served by the image of images/server.Dockerfile
RUN --mount=type=bind,from=bundle,target=/bundle \
    if [ -d /bundle/wheels ]; then \
        PIP_NO_INDEX=1 PIP_FIND_LINKS=/bundle/wheels UV_OFFLINE=1 \
            python3.11 setup/install.py --without-vllm --without-dev ${EXECUTOR:+--with="$EXECUTOR"} --cerbos /bundle/cerbos; \
    else \
        python3.11 setup/install.py --without-vllm --without-dev ${EXECUTOR:+--with="$EXECUTOR"}; \
    fi \
    && test -x .venv/bin/cerbos

# root writes and everybody reads, whatever the umask of the account that cloned it
FROM ${BASE_IMAGE} AS code
WORKDIR /app
COPY . /app
RUN chmod -R u=rwX,go=rX /app

FROM ${BASE_IMAGE}
# g++: DeepSpeed compiles its CPU Adam at first use; libgomp1: torch; tini: reaps what a killed scheduler leaves
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libgomp1 tini util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 tuneway \
    # the folders of the volumes, so that they belong to the account when they are new
    && install -d -o tuneway -g tuneway /data /data/run /data/serving
WORKDIR /app
# the code belongs to root: no process changes what it runs
COPY --from=built /app/.venv /app/.venv
COPY --from=code /app /app
USER 10001:10001
ENV PATH=/app/.venv/bin:$PATH TUNEWAY_DATA_DIR=/data TUNEWAY_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
ENTRYPOINT ["tini", "-g", "--", "/app/setup/container_entrypoint.sh"]
CMD ["tuneway", "--help"]
