# One image for every process of the platform; `tuneway run NAME` says which one a container is.
# A site's package mirror and local wheels come in as pip's own settings:
#   docker build --build-arg PIP_INDEX_URL=... --build-arg PIP_FIND_LINKS=... -t tuneway .
FROM python:3.11-slim-bookworm

ARG PIP_INDEX_URL=""
ARG PIP_EXTRA_INDEX_URL=""
ARG PIP_FIND_LINKS=""

# g++: DeepSpeed compiles its CPU Adam at first use; libgomp1: torch; npm: fetches Cerbos; tini: reaps what a killed scheduler
# leaves
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libgomp1 npm tini util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 tuneway \
    && install -d -o tuneway -g tuneway /app /data

USER tuneway
WORKDIR /app
COPY --chown=tuneway:tuneway requirements.txt requirements-dev.txt requirements-vllm.txt /app/
COPY --chown=tuneway:tuneway setup /app/setup
# models are served by the vllm containers
RUN python setup/install.py --without-vllm && rm -rf .make /home/tuneway/.cache
COPY --chown=tuneway:tuneway . /app

ENV PATH=/app/.venv/bin:$PATH TUNEWAY_DATA_DIR=/data TUNEWAY_HOST=0.0.0.0
VOLUME /data
ENTRYPOINT ["tini", "-g", "--", "/app/setup/container_entrypoint.sh"]
CMD ["tuneway", "--help"]
