"""An OpenAI-compatible endpoint of ours in a thread, that counts what it is asked."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "road-rules"


class ChatEndpoint:
    """What was asked, and how to answer."""

    def __init__(self, answer: Callable[[str], str], pause_seconds: float) -> None:
        self.answer = answer
        self.pause_seconds = pause_seconds
        self.questions: list[str] = []
        self.url = ""

    @property
    def times_asked(self) -> Counter[str]:
        """How often each question came."""
        return Counter(self.questions)

    @property
    def address(self) -> str:
        """As `tuneway evaluate` takes it."""
        return f"{self.url}#{MODEL}"


def _handler(endpoint: ChatEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

        def do_GET(self) -> None:
            if self.path == "/version":
                self._send({"engine": "imitation", "version": "1.0"})
            else:
                self._send({"data": [{"id": MODEL}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "messages" not in body:
                self._send({"choices": [{"text": "", "logprobs": {"token_logprobs": [-1.0]}}]})
                return
            question = body["messages"][-1]["content"]
            endpoint.questions.append(question)
            time.sleep(endpoint.pause_seconds)
            text = endpoint.answer(question)
            if body.get("stream"):
                self._stream(text)
                return
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self._send({"choices": [choice], "usage": {"completion_tokens": len(text)}})

        def _stream(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            events = [{"choices": [{"delta": {"content": letter}}]} for letter in text]
            for event in [*events, {"choices": [], "usage": {"completion_tokens": len(text)}}]:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def _send(self, value: object) -> None:
            raw = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


@contextmanager
def chat_endpoint(answer: Callable[[str], str], pause_seconds: float = 0.0) -> Iterator[ChatEndpoint]:
    """The endpoint for the length of a block."""
    endpoint = ChatEndpoint(answer, pause_seconds)
    with _Server(("127.0.0.1", 0), _handler(endpoint)) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
