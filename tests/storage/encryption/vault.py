"""A small stand-in for a Vault: its transit engine over HTTP, with real AES-256-GCM. No real Vault can be had here."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "stand-in-token"


class Vault(ThreadingHTTPServer):
    """Keys by version; whether it is sealed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = {1: os.urandom(32)}
        self.is_sealed = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_vault() -> Iterator[Vault]:
    with Vault() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Vault

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(json.loads(body or b"{}"))

    def _answer(self, body: dict[str, Any]) -> None:
        status, said = self._done(body)
        content = json.dumps(said).encode() if said is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _done(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        self.server.asked.append(self.path)
        if self.server.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if self.headers.get("X-Vault-Token") != TOKEN:
            return 403, {"errors": ["permission denied"]}
        keys = self.server.keys
        match self.path.removeprefix("/v1/transit/").split("/"):
            case ["keys", "tuneway"]:
                return 200, {"data": {"latest_version": max(keys), "type": "aes256-gcm96"}}
            case ["keys", "tuneway", "rotate"]:
                keys[max(keys) + 1] = os.urandom(32)
                return 204, None
            case ["encrypt", "tuneway"]:
                nonce = os.urandom(12)
                plain, bound = (base64.b64decode(body[name]) for name in ("plaintext", "associated_data"))
                sealed = base64.b64encode(nonce + AESGCM(keys[max(keys)]).encrypt(nonce, plain, bound)).decode()
                return 200, {"data": {"ciphertext": f"vault:v{max(keys)}:{sealed}", "key_version": max(keys)}}
            case ["decrypt", "tuneway"]:
                _, version, encoded = body["ciphertext"].split(":")
                packed, bound = base64.b64decode(encoded), base64.b64decode(body["associated_data"])
                try:
                    plain = AESGCM(keys[int(version[1:])]).decrypt(packed[:12], packed[12:], bound)
                except (InvalidTag, KeyError):
                    return 400, {"errors": ["cipher: message authentication failed"]}
                return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}
        return 404, {"errors": []}
