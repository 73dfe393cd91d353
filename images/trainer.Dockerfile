# The runner on a host with cards: the platform and the CUDA tools with which DeepSpeed compiles its kernels.
#
#   docker build -f images/trainer.Dockerfile --build-arg CUDA_IMAGE=NAME@sha256:... -t tuneway-trainer .
#   ... --build-context bundle=/media/tuneway-0123456789ab    from an archive that was bundled with a CUDA build of torch
#
# CUDA_IMAGE is a development image (with nvcc) of a CUDA version that the host's driver knows, on Rocky Linux 8 or another
# system with dnf, by name and digest of the site's own registry.
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-devel-rockylinux8

# nothing, where no archive is given
FROM scratch AS bundle

FROM ${CUDA_IMAGE} AS built
ARG PIP_INDEX_URL=""
ARG PIP_EXTRA_INDEX_URL=""
ARG PIP_FIND_LINKS=""
# celery or kubernetes: what that executor of Airflow needs beside (docs/scaling.md)
ARG EXECUTOR=""
# npm fetches Cerbos where no archive has it
# hadolint ignore=DL3041
RUN --mount=type=bind,from=bundle,target=/bundle \
    dnf install -y python3.11 python3.11-pip && { test -d /bundle/wheels || dnf install -y npm; }
WORKDIR /app
COPY setup /app/setup
COPY requirements*.txt /app/
RUN --mount=type=bind,from=bundle,target=/bundle \
    if [ -d /bundle/wheels ]; then \
        PIP_NO_INDEX=1 PIP_FIND_LINKS=/bundle/wheels UV_OFFLINE=1 \
            python3.11 setup/install.py --without-vllm --without-dev ${EXECUTOR:+--with="$EXECUTOR"} --cerbos /bundle/cerbos; \
    else \
        python3.11 setup/install.py --without-vllm --without-dev ${EXECUTOR:+--with="$EXECUTOR"}; \
    fi \
    && test -x .venv/bin/cerbos

# root writes and everybody reads, whatever the umask of the account that cloned it
FROM ${CUDA_IMAGE} AS code
WORKDIR /app
COPY . /app
RUN chmod -R u=rwX,go=rX /app

FROM ${CUDA_IMAGE}
# python3.11-devel: kernels are compiled against its headers
# hadolint ignore=DL3041
RUN dnf install -y python3.11 python3.11-devel gcc-c++ libgomp util-linux \
    && dnf clean all \
    && useradd --create-home --uid 10001 tuneway \
    && install -d -o tuneway -g tuneway /data
WORKDIR /app
COPY --from=built /app/.venv /app/.venv
COPY --from=code /app /app
USER 10001:10001
ENV PATH=/app/.venv/bin:$PATH TUNEWAY_DATA_DIR=/data TUNEWAY_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1 \
    CUDA_HOME=/usr/local/cuda
VOLUME /data
# no tini on Rocky Linux 8: compose starts one (init: true)
ENTRYPOINT ["/app/setup/container_entrypoint.sh"]
CMD ["tuneway", "run", "runner"]
