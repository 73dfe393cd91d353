"""A real HTTP server that speaks chat completions and answers as a test wants it."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Reply = tuple[int, object]
"""Status and what is sent: text as it is, anything else as JSON."""


@dataclass
class Endpoint:
    """A running server and what it was asked."""

    url: str
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    @property
    def prompts(self) -> list[str]:
        """The user's turn of each call."""
        return [body["messages"][-1]["content"] for body in self.bodies]


@contextmanager
def endpoint(answer: Callable[[Body], Reply], delay: float = 0.0) -> Iterator[Endpoint]:
    """Serve `answer(body)` on a port of this machine."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                running.bodies.append(body)
                running.headers.append(dict(self.headers))
                running.under_way += 1
                running.most_under_way = max(running.most_under_way, running.under_way)
            if delay:
                time.sleep(delay)
            status, said = answer(body)
            with lock:
                running.under_way -= 1
            raw = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            pass  # a client that was killed

    server = Server(("127.0.0.1", 0), Handler)
    running = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def said(text: str, finish_reason: str = "stop", usage: bool = True) -> Reply:
    """A chat completion with that text."""
    told = {"usage": {"prompt_tokens": 1000, "completion_tokens": 100}} if usage else {}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return 200, {"id": "x", "object": "chat.completion", "choices": [choice], **told}


def passage_of(body: Body) -> str:
    """The passage in a prompt."""
    found = re.search(r"<본문>\n(.*)\n</본문>", body["messages"][-1]["content"], re.DOTALL)
    assert found is not None
    return found[1]


def faithful(body: Body) -> Reply:
    """A generator that asks about the first sentence of the passage and answers with it."""
    return said(json.dumps({"samples": faithful_samples(body)}, ensure_ascii=False))


def faithful_samples(body: Body) -> list[dict[str, Any]]:
    """One sample of the shape that the prompt asks for."""
    sentences = [one.strip() for one in re.split(r"(?<=다)\.\s", passage_of(body)) if len(one.strip()) > 10]
    evidence = sentences[0].splitlines()[-1].strip("# ")
    subject = " ".join(evidence.split()[:6])
    answer = f"{evidence.rstrip('.')}."
    prompt = body["messages"][-1]["content"]
    if '"summary"' in prompt:
        return [{"summary": answer}]
    if '"turns"' in prompt:
        second = {"question": f"{subject} 절차를 더 알려 주시겠어요?", "answer": answer}
        turns = [{"question": f"{subject} 문의드립니다. 어떻게 됩니까?", "answer": answer}, second]
        return [{"turns": turns, "evidence": evidence}]
    return [{"question": f"{subject} 관련하여 어떻게 됩니까?", "answer": answer, "evidence": evidence}]
