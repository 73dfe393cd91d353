"""What a server does with prompts: the tokens it reads, its greedy continuation, and what it thinks likely."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx

from contracts.errors import JobFailedError
from contracts.parity import ParitySample
from deployment.client import ANSWER_TIMEOUT_S, open_session, unavailable

TOP_LOGPROBS = 5
TOKEN_PREFIX = "token_id:"  # noqa: S105 - how vLLM writes a token


def observe(
    base_url: str,
    name: str,
    prompts: list[list[dict[str, str]]],
    max_tokens: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ParitySample]:
    """Each prompt's tokens and the model's greedy answer to it. Raises UnavailableError or JobFailedError."""
    samples = []
    with open_session(ANSWER_TIMEOUT_S) as client:
        for number, messages in enumerate(prompts):
            answer = _post(
                client,
                f"{base_url}/chat/completions",
                {
                    "model": name,
                    "messages": messages,
                    "max_tokens": max_tokens,
                    "temperature": 0,
                    "logprobs": True,
                    "top_logprobs": TOP_LOGPROBS,
                    "return_token_ids": True,
                    "return_tokens_as_token_ids": True,
                    # llama.cpp's own words for the tokens of its answer
                    "return_tokens": True,
                    "verbose": True,
                },
            )
            samples.append(_sample(client, base_url, name, messages, answer))
            if on_progress is not None:
                on_progress(number + 1, len(prompts))
    return samples


def read_specials(base_url: str, name: str, texts: Iterable[str]) -> dict[str, list[int]] | None:
    """The tokens that the server makes of each text; None where it does not tell."""
    found = {}
    with open_session(ANSWER_TIMEOUT_S) as client:
        for text in texts:
            ids = _tokenized(client, base_url, {"model": name, "prompt": text, "add_special_tokens": False})
            if ids is None:
                return None
            found[text] = ids
    return found


def _sample(
    client: httpx.Client, base_url: str, name: str, messages: list[dict[str, str]], answer: dict[str, Any]
) -> ParitySample:
    choice = answer["choices"][0]
    told = (choice.get("logprobs") or {}).get("content") or []
    prompt_ids = answer.get("prompt_token_ids")
    if prompt_ids is None:
        prompt_ids = _tokenized(client, base_url, {"model": name, "messages": messages, "add_generation_prompt": True})
    verbose = answer.get("__verbose") or {}
    token_ids = choice.get("token_ids") or verbose.get("tokens") or [_token_id(entry) for entry in told]
    if None in token_ids or (not token_ids and choice["message"]["content"]):
        raise JobFailedError(
            "The model server does not tell which tokens it answers with",
            value=base_url,
            allowed="vLLM, or the embedded server",
            next_step="serve the model with one of these",
        )
    return ParitySample(
        messages=messages,
        prompt_ids=prompt_ids,
        token_ids=token_ids,
        ended=choice["finish_reason"] == "stop",
        top_logprobs=top_logprobs(token_ids, told),
    )


def top_logprobs(token_ids: list[int], told: list[dict[str, Any]]) -> list[dict[int, float]]:
    """What is told of each token; nothing of those of which the engine is silent.

    llama.cpp has one entry for tokens that make a letter together only, such as the bytes of a rare syllable: that of the
    last one. Where an entry could be that of more than one token, nothing is told of it.
    """
    if len(told) == len(token_ids):
        return [_top(entry) for entry in told]
    ids = [_token_id(entry) for entry in told]
    first = _places(token_ids, ids)
    last = [len(token_ids) - 1 - place for place in reversed(_places(token_ids[::-1], ids[::-1]))]
    found: list[dict[int, float]] = [{} for _ in token_ids]
    if len(first) == len(last) == len(told):
        for entry, place, latest in zip(told, first, last, strict=True):
            if place == latest:
                found[place] = _top(entry)
    return found


def _places(token_ids: list[int], wanted: list[int | None]) -> list[int]:
    """Where the wanted tokens stand, each at the first place behind the one before; as many as are found."""
    places: list[int] = []
    for place, token in enumerate(token_ids):
        if len(places) < len(wanted) and token == wanted[len(places)]:
            places.append(place)
    return places


def _top(entry: dict[str, Any]) -> dict[int, float]:
    found = {}
    for told in (*(entry.get("top_logprobs") or []), entry):
        token = _token_id(told)
        if token is not None:
            found[token] = float(told["logprob"])
    return found


def _token_id(entry: dict[str, Any]) -> int | None:
    """llama.cpp tells it beside the text, vLLM in its place."""
    if "id" in entry:
        return int(entry["id"])
    text = str(entry.get("token", ""))
    return int(text.removeprefix(TOKEN_PREFIX)) if text.startswith(TOKEN_PREFIX) else None


def _tokenized(client: httpx.Client, base_url: str, body: dict[str, Any]) -> list[int] | None:
    try:
        response = client.post(base_url.removesuffix("/v1") + "/tokenize", json=body)
        if response.status_code != httpx.codes.OK:
            return None
        return [int(token) for token in response.json()["tokens"]]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _post(client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        response = client.post(url, json=body)
    except httpx.HTTPError as error:
        raise unavailable(url, error) from error
    try:
        response.raise_for_status()
        answer = response.json()
        assert isinstance(answer, dict)
    except (httpx.HTTPStatusError, ValueError) as error:
        raise JobFailedError(
            "The model server refuses a question for its log probabilities",
            value=response.text[:500],
            next_step="look at the model server's log",
        ) from error
    return answer
