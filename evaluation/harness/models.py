"""The evaluated model as the harness asks it: its weights in this process, or a server that tells likelihoods."""

from pathlib import Path
from typing import Any

import httpx

from contracts.errors import InvalidRequestError, UnavailableError
from evaluation.suites.kind import Subject

SERVED_CONCURRENCY = 1
"""vLLM 0.32 on a CPU ended its engine when several requests at a time asked for the likelihoods of their prompts."""
PROBE_TIMEOUT_S = 60.0
MAX_LENGTH = 4096


def check_likelihoods(url: str, served_name: str) -> None:
    """The server tells how likely a given text is. Raises InvalidRequestError where it does not.

    Benchmarks compare the likelihoods of fixed answers; an engine that only tells those of tokens it made itself, as
    llama.cpp's does, cannot be asked that way.
    """
    body = {"model": served_name, "prompt": "보존 기간은 5년입니다.", "max_tokens": 1, "echo": True, "logprobs": 1}
    try:
        with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            response = client.post(f"{url}/completions", json={**body, "temperature": 0})
            payload = response.json() if response.status_code == httpx.codes.OK else {}
    except (httpx.HTTPError, ValueError) as error:
        raise UnavailableError(
            "The model server does not answer", value=f"{url}: {error}", next_step="look at the model server's log"
        ) from error
    logprobs = (payload.get("choices") or [{}])[0].get("logprobs") or {}
    # the prompt has several tokens, the answer one
    if len(logprobs.get("token_logprobs") or []) < 3:
        raise InvalidRequestError(
            "The server does not tell the likelihood of a given text, which this benchmark compares",
            value=f"{served_name} at {url}",
            allowed="a server with `echo` and `logprobs` in /v1/completions, such as vLLM",
            next_step="name the model by its registry name, job or folder: its weights are then read directly",
        )


def tokenizer_folder(url: str, served_name: str) -> Path:
    """Where the served model's tokenizer lies on this machine, as the server tells it."""
    try:
        with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            listed = client.get(f"{url}/models").raise_for_status().json()["data"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise UnavailableError(
            "The model server does not list its models", value=url, next_step="look at the model server's log"
        ) from error
    roots = {model.get("id"): model for model in listed}
    model = roots.get(served_name, {})
    for name in (model.get("root"), roots.get(model.get("parent"), {}).get("root")):
        if name and (Path(name) / "tokenizer_config.json").is_file():
            return Path(name)
    raise InvalidRequestError(
        "The tokenizer of the served model is not on this machine",
        value=f"{served_name} at {url}",
        allowed="a server on this machine that serves a model's folder",
        next_step="evaluate on the machine that serves it, or name the model by its folder",
    )


def harness_model(subject: Subject, batch_size: int) -> Any:
    """The model for the harness. Imports it, and torch where the weights are read here."""
    if subject.endpoint_url is not None:
        from lm_eval.models.openai_completions import LocalCompletionsAPI

        return LocalCompletionsAPI(
            base_url=f"{subject.endpoint_url}/completions",
            model=subject.served_name,
            tokenizer=str(tokenizer_folder(subject.endpoint_url, subject.served_name)),
            tokenizer_backend="huggingface",
            tokenized_requests=True,
            num_concurrent=SERVED_CONCURRENCY,
            max_length=MAX_LENGTH,
        )
    import torch
    from lm_eval.models.huggingface import HFLM

    folder = subject.need_folder("The benchmark")
    return HFLM(
        pretrained=str(folder),
        peft=None if subject.adapter_path is None else str(subject.adapter_path),
        device="cuda:0" if torch.cuda.is_available() else "cpu",
        batch_size=batch_size,
        trust_remote_code=False,
    )
