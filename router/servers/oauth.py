"""Tokens for Kafka by client credentials (RFC 6749, section 4.4), kept until shortly before they expire."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from jitr.schemas.servers import KafkaSettings
from jitr.schemas.urls import safe_text, safe_url

_TIMEOUT_S: Final = 5.0
_EARLY: Final = 0.2
_DEFAULT_LIFE_S: Final = 300.0


class TokenError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka's errors have no types
    """The token endpoint gives no token."""


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Gives a token that is good for at least a fifth of its life yet.

    Kafka cuts a connection whose token has expired; the client then connects again, with the next token.

    Parameters
    ----------
    kafka : KafkaSettings
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, kafka: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._kafka: Final = kafka
        self._clock: Final = clock
        self._token = ""
        self._until = 0.0
        self._one: Final = asyncio.Lock()

    async def token(self) -> str:
        """The token to show.

        Raises
        ------
        TokenError
            If the endpoint gives none; the message holds no secret.
        """
        async with self._one:
            if not self._token or self._clock() >= self._until:
                asked_at = self._clock()
                self._token, life_s = await self._ask()
                self._until = asked_at + life_s * (1 - _EARLY)
            return self._token

    async def _ask(self) -> tuple[str, float]:
        kafka = self._kafka
        form = {"grant_type": "client_credentials"} | ({"scope": kafka.scope} if kafka.scope else {})
        # the RFC wants both encoded before they are put together (section 2.3.1)
        login = aiohttp.BasicAuth(quote(kafka.client_id, safe=""), quote(kafka.client_secret, safe=""))
        where = safe_url(kafka.oauth_token_url)
        try:
            # the system's authorities too: who signed Kafka's certificate need not have signed this one
            context = ssl.create_default_context()
            if kafka.ca_file:
                context.load_verify_locations(kafka.ca_file)
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S), trust_env=True
                ) as session,
                session.post(
                    kafka.oauth_token_url, data=form, auth=login, ssl=context, allow_redirects=False
                ) as answer,
            ):
                if answer.status != 200:
                    raise TokenError(
                        f"{where} gives no token, it answers {answer.status}; kafka.client_id,"
                        " kafka.client_secret and kafka.scope must be those of a client that it knows"
                    )
                said: Any = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            detail = safe_text(str(error)) or type(error).__name__
            raise TokenError(f"{where} gives no token ({detail}); is kafka.oauth_token_url right?") from error
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token:
            raise TokenError(f"{where} answers without an access_token; is kafka.oauth_token_url right?")
        life = said.get("expires_in")
        good = isinstance(life, (int, float)) and not isinstance(life, bool) and life > 0
        return token, float(life) if good else _DEFAULT_LIFE_S
