"""Load of a closed loop: clients with a connection each, who ask again once they have an answer.

    python -m request_path.load URL --clients 16 --seconds 10 [--streams 0.5]

Plain sockets and prepared requests, so that the load costs little beside what it measures. Prints one JSON
object: ``rate`` (answers a second), ``p50_ms``, ``p99_ms``, ``max_ms``, ``answers``, ``errors``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from pathlib import Path
from urllib.parse import urlsplit

# plain English: a prompt of code would make redaction look for secrets in each word
WORDS = (Path(__file__).parents[2] / "LICENSE").read_text().split()
PREPARED = 2000


def prepared(
    url: str, streams: float, seed: int, headers: dict[str, str], model: str, opening: str
) -> list[bytes]:
    """Requests with prompts of 70 words behind an opening, some of them for a stream."""
    rng = random.Random(seed)
    to = urlsplit(url)
    lines = {"Host": to.netloc, "Content-Type": "application/json", "Authorization": "Bearer none"}
    head = f"POST {to.path}/chat/completions HTTP/1.1\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in (lines | headers).items())
    requests = []
    for _ in range(PREPARED):
        prompt = " ".join(rng.choices(WORDS, k=70))
        body = {"model": model, "messages": [{"role": "user", "content": f"{opening}{prompt}"}]}
        if rng.random() < streams:
            body["stream"] = True
        raw = json.dumps(body).encode()
        requests.append(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
    return requests


class Client(asyncio.Protocol):
    """One client: asks, waits for the whole answer, asks again until the time is over."""

    def __init__(self, requests: list[bytes], until: float, first: int) -> None:
        self._requests, self._until, self._next = requests, until, first
        self._held = b""
        self._asked = 0.0
        self.took_s: list[float] = []
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        if self._asked >= self._until:
            self._transport.close()
            return
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        self._held = self._held + data if self._held else data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            if len(self._held) < end + 4 + int(head[at + 15 :].partition(b"\r\n")[0]):
                return
        elif not self._held.endswith(b"0\r\n\r\n"):
            return
        self.took_s.append(time.perf_counter() - self._asked)
        whole = b'"content":"' in self._held or b'"content": "' in self._held
        self.errors += not (head.startswith(b"http/1.1 200") and whole)
        self._held = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, or an error where the time was not over."""
        self.errors += time.perf_counter() < self._until
        if not self.done.done():
            self.done.set_result(None)


async def load(
    url: str,
    clients: int,
    seconds: float,
    *,
    streams: float = 0.0,
    headers: dict[str, str] | None = None,
    model: str = "gpt-4.1-simulated",
    opening: str = "",
) -> dict[str, float]:
    """Run it, and add up."""
    requests = prepared(url, streams, clients, headers or {}, model, opening)
    to = urlsplit(url)
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    made = []
    for n in range(clients):
        make = lambda n=n: Client(requests, until, n * 97)  # noqa: E731
        made.append((await loop.create_connection(make, to.hostname, to.port))[1])
    begun = time.perf_counter()
    await asyncio.wait([client.done for client in made], timeout=seconds + 30.0)
    took_s = time.perf_counter() - begun
    all_s = sorted(t for client in made for t in client.took_s)
    late = sum(not client.done.done() for client in made)

    def quantile(q: float) -> float:
        return 1000 * all_s[min(len(all_s) - 1, int(q * len(all_s)))] if all_s else float("nan")

    return {
        "rate": len(all_s) / min(took_s, seconds) if all_s else 0.0,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
        "answers": len(all_s),
        "errors": sum(client.errors for client in made) + late,
    }


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--streams", type=float, default=0.0, help="share of requests that ask for a stream")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE")
    parser.add_argument("--model", default="gpt-4.1-simulated")
    parser.add_argument("--opening", default="", help="what every prompt begins with")
    given = parser.parse_args()
    found = load(
        given.url,
        given.clients,
        given.seconds,
        streams=given.streams,
        headers=dict(line.split(": ", 1) for line in given.header),
        model=given.model,
        opening=given.opening,
    )
    print(json.dumps(asyncio.run(found)))


if __name__ == "__main__":
    main()
