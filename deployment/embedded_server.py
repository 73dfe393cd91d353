"""The embedded model server: `python -m deployment.embedded_server --model DIR --served-model-name NAME ...`.

llama.cpp's server runs inside this process on a port that the system picks. In front of it stands a thin HTTP server
that speaks of models by name, as vLLM does: the base and each adapter have one, an unknown name is 404, and
`POST /v1/load_lora_adapter` adds an adapter. llama.cpp takes adapters at start only, so an added one opens a second
engine, new requests go there, and the first ends with its last answer.
"""

import argparse
import asyncio
import logging
import sys
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import xllamacpp
from aiohttp import web

from contracts.enums import ServerBackend
from contracts.errors import TunewayError
from deployment.engine import embedded_version
from deployment.gguf_conversion import converted_adapter, converted_model, normalises_to_nfc
from settings.logs import start_logging

log = logging.getLogger("deployment.embedded_server")

PARALLEL_SEQUENCES = 8
GGML_TYPE_F32 = 0
# Stands in llama.cpp's answers where the name of the model that was asked belongs.
MODEL_PLACEHOLDER = "@tuneway-model@"
_PLACEHOLDER_BYTES = f'"model":"{MODEL_PLACEHOLDER}"'.encode()
MAX_BODY_BYTES = 16 * 1024**2


@dataclass
class Engine:
    """One llama.cpp server with its adapters in order."""

    adapters: dict[str, str]
    """Name to PEFT folder."""
    server: Any
    requests: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """It answers one more request: it must not end before."""
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            if not self.requests:
                self.idle.set()

    @property
    def url(self) -> str:
        """Where llama.cpp listens."""
        return str(self.server.listening_address)

    def lora_scales(self, model: str) -> list[dict[str, Any]]:
        """The adapter of that name alone; none for the base."""
        return [{"id": index, "scale": float(name == model)} for index, name in enumerate(self.adapters)]


def open_engine(model: Path, adapters: dict[str, str], cache_dir: Path, max_model_length: int) -> Engine:
    """Convert what is not converted yet and start llama.cpp."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(converted_model(model, cache_dir))
    parameters.model_alias = {MODEL_PLACEHOLDER}
    parameters.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(str(converted_adapter(Path(path), cache_dir)), 1.0)
        for path in adapters.values()
    ]
    parameters.port = 0
    parameters.n_parallel = PARALLEL_SEQUENCES
    parameters.n_ctx = max_model_length * PARALLEL_SEQUENCES
    parameters.fit_params = False
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    # The prompt cache does not know which adapter computed an entry: answers of one arm would leak into the other.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.cache_type_k = GGML_TYPE_F32
    parameters.cache_type_v = GGML_TYPE_F32
    # Flash attention on a CPU works in half precision: about 2 % of the answers then differ from transformers'.
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.use_jinja = True
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = 1
    return Engine(adapters, xllamacpp.Server(parameters))


class EmbeddedServer:
    """The HTTP server in front of the engine."""

    def __init__(
        self, model: Path, served_model_name: str, adapters: dict[str, str], cache_dir: Path, max_model_length: int
    ) -> None:
        self._model = model
        self._name = served_model_name
        self._cache_dir = cache_dir
        self._max_model_length = max_model_length
        self._engine = open_engine(model, adapters, cache_dir, max_model_length)
        self._composes = normalises_to_nfc(model)
        self._loading = asyncio.Lock()
        self._in_flight: Counter[str] = Counter()
        self._retirements: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/version", self._version),
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._complete),
                web.post("/v1/completions", self._complete),
                web.post("/v1/load_lora_adapter", self._load),
                web.post("/v1/unload_lora_adapter", self._unload),
                web.get("/metrics", self._metrics),
                web.post("/tokenize", self._tokenize),
            ]
        )
        application.on_startup.append(self._open_client)
        application.on_cleanup.append(self._close_client)
        return application

    async def _open_client(self, _: web.Application) -> None:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None), trust_env=False
        )

    async def _close_client(self, _: web.Application) -> None:
        if self._client is not None:
            await self._client.close()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _version(self, _: web.Request) -> web.Response:
        return _json({"engine": ServerBackend.EMBEDDED.value, "version": embedded_version()})

    async def _models(self, _: web.Request) -> web.Response:
        adapters = [
            {"id": name, "object": "model", "owned_by": "tuneway", "root": path, "parent": self._name}
            for name, path in self._engine.adapters.items()
        ]
        base = {"id": self._name, "object": "model", "owned_by": "tuneway", "root": str(self._model), "parent": None}
        return _json({"object": "list", "data": [base, *adapters]})

    async def _load(self, request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            name, path = str(body["lora_name"]), str(body["lora_path"])
        except (ValueError, LookupError, TypeError):
            return _error(400, "give lora_name and lora_path", "invalid_request_error")
        async with self._loading:
            adapters = self._engine.adapters
            if name == self._name or name in adapters:
                return _error(400, f"the name {name} is taken; names are never given twice", "invalid_request_error")
            try:
                await self._exchange_engine({**adapters, name: path})
            except TunewayError as error:
                return _error(404, error.sentence(), "invalid_request_error")
            except (RuntimeError, OSError, ValueError, LookupError) as error:
                log.exception("the adapter %s could not be loaded", name)
                return _error(400, f"{path}: {error}", "invalid_request_error")
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        try:
            name = str(orjson.loads(await request.read())["lora_name"])
        except (ValueError, LookupError, TypeError):
            return _error(400, "give lora_name", "invalid_request_error")
        async with self._loading:
            adapters = self._engine.adapters
            if name not in adapters:
                return _error(404, f"the adapter {name} is not loaded", "not_found_error")
            await self._exchange_engine({key: path for key, path in adapters.items() if key != name})
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _exchange_engine(self, adapters: dict[str, str]) -> None:
        """New requests go to an engine with these adapters; the present one ends with its last answer."""
        old = self._engine
        self._engine = await asyncio.to_thread(
            open_engine, self._model, adapters, self._cache_dir, self._max_model_length
        )
        retirement = asyncio.create_task(_retire(old))
        self._retirements.add(retirement)
        retirement.add_done_callback(self._retirements.discard)

    async def _tokenize(self, request: web.Request) -> web.Response:
        """The tokens of a text, or of a conversation as the model's template renders it: vLLM's own call."""
        try:
            body = orjson.loads(await request.read())
            if self._composes:
                _compose(body)
            is_text = "prompt" in body
            given = str(body["prompt"]) if is_text else body["messages"]
        except (ValueError, LookupError, TypeError, AttributeError):
            return _error(400, "give prompt or messages", "invalid_request_error")
        engine = self._engine
        try:
            async with engine.at_work():
                text = (
                    given if is_text else (await self._asked(engine, "/apply-template", {"messages": given}))["prompt"]
                )
                # a rendered prompt is read as the completions read it
                options = {"content": text, "parse_special": True, "add_special": not is_text}
                tokens = (await self._asked(engine, "/tokenize", options))["tokens"]
        except (aiohttp.ClientError, LookupError, ValueError) as error:
            return _error(502, f"the engine did not answer: {error}", "server_error")
        return _json({"count": len(tokens), "max_model_len": self._max_model_length, "tokens": tokens})

    async def _asked(self, engine: Engine, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert self._client is not None
        async with asked_again_if_closed(self._client, engine.url + path, orjson.dumps(body)) as answer:
            answer.raise_for_status()
            return dict(orjson.loads(await answer.read()))

    async def _metrics(self, _: web.Request) -> web.Response:
        names = [self._name, *self._engine.adapters]
        lines = [f'tuneway:requests_in_flight{{model_name="{name}"}} {self._in_flight[name]}' for name in names]
        return web.Response(text="\n".join(["# TYPE tuneway:requests_in_flight gauge", *lines, ""]))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            body = orjson.loads(await request.read())
            model = body.get("model") or self._name
        except (ValueError, AttributeError):
            return _error(400, "the body is not a JSON object", "invalid_request_error")
        engine = self._engine
        if model != self._name and model not in engine.adapters:
            return _error(404, f"The model `{model}` does not exist.", "not_found_error")
        body["lora"] = engine.lora_scales(model)
        body["cache_prompt"] = False
        if self._composes:
            _compose(body)
        assert self._client is not None
        named = b'"model":' + orjson.dumps(model)
        self._in_flight[model] += 1
        try:
            async with (
                engine.at_work(),
                asked_again_if_closed(self._client, engine.url + request.path, orjson.dumps(body)) as upstream,
            ):
                if not body.get("stream") or upstream.status != 200:
                    answer = (await upstream.read()).replace(_PLACEHOLDER_BYTES, named)
                    return web.Response(status=upstream.status, body=answer, content_type="application/json")
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
                await response.prepare(request)
                # readline keeps each event's line whole, so that the placeholder is never cut in two
                while line := await upstream.content.readline():
                    await response.write(line.replace(_PLACEHOLDER_BYTES, named))
                await response.write_eof()
                return response
        except aiohttp.ClientError as error:
            return _error(502, f"the engine did not answer: {error}", "server_error")
        finally:
            self._in_flight[model] -= 1


@asynccontextmanager
async def asked_again_if_closed(
    client: aiohttp.ClientSession, url: str, body: bytes
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The engine's answer. It may have closed a kept connection just when it was used: then once more on another one."""
    headers = {"Content-Type": "application/json"}
    try:
        response = await client.post(url, data=body, headers=headers)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        response = await client.post(url, data=body, headers=headers)
    async with response:
        yield response


async def _retire(engine: Engine) -> None:
    """Wait for the engine's last answer; the engine ends when nothing refers to it any more."""
    while engine.requests:
        engine.idle.clear()
        await engine.idle.wait()
    server, engine.server = engine.server, None
    await asyncio.to_thread(_close, [server])


def _close(servers: list[Any]) -> None:
    servers.clear()


def _compose(body: dict[str, Any]) -> None:
    """Put texts into composed form (NFC), as the model's own tokenizer does."""
    if isinstance(body.get("prompt"), str):
        body["prompt"] = unicodedata.normalize("NFC", body["prompt"])
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and isinstance(message.get("content"), str):
            message["content"] = unicodedata.normalize("NFC", message["content"])


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _error(status: int, message: str, kind: str) -> web.Response:
    return _json({"error": {"message": message, "type": kind, "param": None, "code": status}}, status)


def _named_path(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise argparse.ArgumentTypeError(f"{text}: give name=folder")
    return name, path


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deployment.embedded_server", description="Serve a Qwen3 model")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--adapter", type=_named_path, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-model-length", type=int, default=4096)
    parser.add_argument("--cache-dir", type=Path, required=True, help="where converted files are kept")
    options = parser.parse_args()
    start_logging("model-server")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        server = EmbeddedServer(
            options.model, options.served_model_name, dict(options.adapter), options.cache_dir, options.max_model_length
        )
    except TunewayError as error:
        sys.exit(error.sentence())
    log.info("serving %s with adapters %s", options.served_model_name, [name for name, _ in options.adapter])
    web.run_app(server.application(), host=options.host, port=options.port, print=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
