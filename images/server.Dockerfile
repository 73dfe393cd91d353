# A model server: vLLM's own image, as an ordinary account that reaches nothing outside.
#
#   docker build -f images/server.Dockerfile --build-arg VLLM_IMAGE=NAME@sha256:... -t tuneway-server .
ARG VLLM_IMAGE=vllm/vllm-openai:v0.32.0
FROM ${VLLM_IMAGE}
RUN useradd --create-home --uid 10001 tuneway && install -d -o tuneway -g tuneway /cache
USER 10001:10001
WORKDIR /home/tuneway
ENV HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 DO_NOT_TRACK=1 VLLM_NO_USAGE_STATS=1 \
    VLLM_CACHE_ROOT=/cache/vllm TRITON_CACHE_DIR=/cache/triton TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    # adapters come and go while it runs: `tuneway deploy --url http://vllm-b:8000/v1 --served-name arm-b`
    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1
VOLUME /cache
EXPOSE 8000
ENTRYPOINT ["vllm", "serve"]
CMD ["--help"]
