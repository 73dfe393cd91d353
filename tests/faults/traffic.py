"""Users who ask and rate all the while, and remember what they were promised."""

import random
import threading
import time

import httpx

from tests.faults.site import Site

QUESTION = "하이패스 카드 재발급 담당자 내선이 몇 번이죠?"


class Traffic(threading.Thread):
    """One question at a time, each from another user; every second answer is rated."""

    def __init__(self, site: Site, pause_seconds: float = 0.5) -> None:
        super().__init__(name="traffic", daemon=True)
        self.answered: set[str] = set()
        """Requests whose answer came whole."""
        self.rated: dict[str, int] = {}
        """Ratings that the service says it has stored."""
        self.refused = 0
        self._url = site.installation.settings.resolved_serving_url
        self._pause = pause_seconds
        self._end = threading.Event()
        self._chance = random.Random(7)

    def run(self) -> None:
        """Ask until told to stop."""
        user = 0
        while not self._end.wait(self._pause):
            user += 1
            try:
                self._ask(f"user-{user}", rate=user % 2 == 0)
            except (httpx.HTTPError, ValueError, KeyError):
                self.refused += 1

    def _ask(self, user: str, *, rate: bool) -> None:
        body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8}
        answer = httpx.post(f"{self._url}/v1/chat/completions", json=body, headers={"X-Tuneway-User": user}, timeout=30)
        if answer.status_code != 200 or not answer.json()["choices"]:
            self.refused += 1
            return
        request = answer.headers["x-tuneway-request-id"]
        self.answered.add(request)
        if not rate:
            return
        rating = self._chance.randint(1, 5)
        stored = httpx.post(f"{self._url}/v1/feedback", json={"request_id": request, "rating": rating}, timeout=30)
        if stored.is_success and stored.json()["stored"]:
            self.rated[request] = rating

    def stop(self) -> None:
        """End after the question that is being asked."""
        self._end.set()
        self.join(timeout=90)

    def answers_again(self, seconds: float = 120) -> bool:
        """Users are answered, within the time."""
        before, deadline = len(self.answered), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.answered) > before:
                return True
            time.sleep(0.2)
        return False
