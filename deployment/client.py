"""Questions to a model server: is it up, what does it serve, load this."""

import re
from collections.abc import Iterable
from typing import Any

import httpx

from contracts.errors import JobFailedError, UnavailableError
from deployment.specification import LoraAdapter

# The first request of a kind may compile something: 30 s were seen on a busy machine.
ANSWER_TIMEOUT_S = 180.0
PROBE_TIMEOUT_S = 5.0


def open_session(timeout_s: float) -> httpx.Client:
    """Connections to a model server, for several requests."""
    # a site's proxy variables must not catch a call to this machine
    return httpx.Client(timeout=timeout_s, trust_env=False)


def is_healthy(base_url: str) -> bool:
    """The server says that it is up."""
    try:
        with open_session(PROBE_TIMEOUT_S) as client:
            return client.get(base_url.removesuffix("/v1") + "/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def model_names(base_url: str) -> list[str]:
    """Every model the server lists. Raises UnavailableError."""
    try:
        with open_session(PROBE_TIMEOUT_S) as client:
            response = client.get(f"{base_url}/models")
            response.raise_for_status()
            return [model["id"] for model in response.json()["data"]]
    except httpx.HTTPError as error:
        raise unavailable(base_url, error) from error


def load_adapter(base_url: str, adapter: LoraAdapter) -> None:
    """Load the adapter into the running server; nothing happens when it serves that name already."""
    if adapter.name in model_names(base_url):
        return
    try:
        with open_session(ANSWER_TIMEOUT_S) as client:
            response = client.post(
                f"{base_url}/load_lora_adapter", json={"lora_name": adapter.name, "lora_path": adapter.path}
            )
    except httpx.HTTPError as error:
        raise unavailable(base_url, error) from error
    if response.status_code != httpx.codes.OK and adapter.name not in model_names(base_url):
        raise JobFailedError(
            f"The model server did not load the adapter {adapter.name}",
            value=response.text[:500],
            allowed="a PEFT LoRA adapter of the served base model",
            next_step="look at the model server's log",
        )


def unload_adapter(base_url: str, name: str) -> None:
    """Unload the adapter; nothing happens where it is not loaded, or where nothing runs."""
    try:
        if name not in model_names(base_url):
            return
        with open_session(ANSWER_TIMEOUT_S) as client:
            response = client.post(f"{base_url}/unload_lora_adapter", json={"lora_name": name})
    except (UnavailableError, httpx.HTTPError):
        return
    if response.status_code != httpx.codes.OK and name in model_names(base_url):
        raise JobFailedError(
            f"The model server did not unload the adapter {name}",
            value=response.text[:500],
            next_step="look at the model server's log",
        )


def requests_in_flight(base_url: str, name: str, *, is_adapter: bool) -> int | None:
    """Answers of the model that have begun and not ended; None where the server does not tell."""
    try:
        with open_session(PROBE_TIMEOUT_S) as client:
            response = client.get(base_url.removesuffix("/v1") + "/metrics")
            response.raise_for_status()
    except httpx.HTTPError:
        return None
    return _in_flight(response.text, name, is_adapter=is_adapter)


def _in_flight(metrics: str, name: str, *, is_adapter: bool) -> int | None:
    own = re.search(rf'^tuneway:requests_in_flight{{model_name="{re.escape(name)}"}} (\d+)$', metrics, re.MULTILINE)
    if own:
        return int(own[1])
    if is_adapter:
        # vLLM names the adapters at work in the labels; the newest sample has the greatest value, a time
        samples = re.findall(r"^vllm:lora_requests_info{(.*)} ([0-9.e+]+)$", metrics, re.MULTILINE)
        if not samples:
            return None
        labels, _ = max(samples, key=lambda sample: float(sample[1]))
        lists = re.findall(r'(?:running|waiting)_lora_adapters="([^"]*)"', labels)
        return sum(name in listed.split(",") for listed in lists)
    counts = re.findall(r"^vllm:num_requests_(?:running|waiting){.*} ([0-9.e+]+)$", metrics, re.MULTILINE)
    return round(sum(map(float, counts))) if counts else None


def ask(base_url: str, model: str, question: str, max_tokens: int = 64, **options: Any) -> str:
    """The model's answer at temperature 0. Raises UnavailableError, or JobFailedError for an answer that is none."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
        **options,
    }
    try:
        with open_session(ANSWER_TIMEOUT_S) as client:
            response = client.post(f"{base_url}/chat/completions", json=body)
    except httpx.HTTPError as error:
        raise unavailable(base_url, error) from error
    try:
        response.raise_for_status()
        return response.json()["choices"][0]["message"]["content"] or ""
    except (httpx.HTTPStatusError, ValueError, LookupError, TypeError) as error:
        raise JobFailedError(
            f"The model {model} did not answer a question",
            value=response.text[:500],
            next_step="look at the model server's log",
        ) from error


def warm_up(base_url: str, names: Iterable[str]) -> None:
    """One short answer of each model, so that the first user does not wait for what happens once."""
    for name in names:
        ask(base_url, name, "준비되었습니까?", max_tokens=1)


def unavailable(base_url: str, error: Exception) -> UnavailableError:
    """The error of a server that cannot be reached."""
    return UnavailableError(
        "The model server does not answer",
        value=f"{base_url}: {type(error).__name__} {error}",
        next_step="look at `tuneway status` and the model server's log",
    )
