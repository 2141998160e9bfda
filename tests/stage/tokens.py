"""A token endpoint on loopback: client credentials against tokens that Apache Kafka takes unsigned."""

import base64
import json
import time
from typing import Any
from urllib.parse import unquote

from aiohttp import BasicAuth, web

CLIENT, SECRET = "jitr", "a secret: with + and &"


class TokenEndpoint:
    """Gives tokens for a short life, and counts them.

    Parameters
    ----------
    life_s : int
        Of each token.
    """

    def __init__(self, life_s: int = 3600) -> None:
        self.life_s = life_s
        self.given = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "TokenEndpoint":
        app = web.Application()
        app.add_routes([web.post("/token", self._token)])
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/token"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        login = BasicAuth.decode(request.headers["Authorization"])
        shown = (unquote(login.login), unquote(login.password))
        if shown != (CLIENT, SECRET) or dict(form) != {"grant_type": "client_credentials", "scope": "kafka"}:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.given += 1
        now = time.time()
        claims = {"sub": CLIENT, "iat": now, "exp": now + self.life_s, "scope": "kafka"}
        token = f"{_part({'alg': 'none'})}.{_part(claims)}."
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.life_s})


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
