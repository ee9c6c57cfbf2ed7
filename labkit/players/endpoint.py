"""A model behind an OpenAI-compatible server (vLLM, SGLang, llama.cpp, a vendor's) as a player.

It is named by the server's address and the model: ``http://127.0.0.1:8000/v1#Qwen/Qwen3-VL-8B-Instruct``. A key is
read from the environment variable :data:`KEY`. Such a player plays and is evaluated; it is not trained, since the
protocol returns text and no token ids.

The protocol: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import os
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from labkit.counting import counted
from labkit.envs import game, prompt
from labkit.episode import Message, Sample
from labkit.errors import UsageError
from labkit.players.base import Answer, Request

KEY = "LABKIT_API_KEY"
"""Environment variable with the server's key."""
TRIES = 7
"""Requests for one answer; the waits between them add up to about two minutes."""
WAIT = (1.0, 60.0)
"""Seconds before the second try, doubled for each further one, and at most."""
TIMEOUT = 120.0
"""Seconds without a byte after which a request is given up and tried again."""
PARALLEL = 16
"""Requests at once, at most."""
MAX_NEW_TOKENS = 1024
"""The longest answer by default, in tokens."""
AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Statuses that mean: try again later."""


class Endpoint:
    """Answers by asking a server.

    A request that fails for a while is tried again: connection errors, time-outs, answers that break off, rate limits
    (as late as ``Retry-After`` says) and errors of the server. The same prompt is asked with the same seed, which
    servers that support it repeat.

    Args:
        url: up to ``/v1``.
        model: as the server calls it.
        name: what episodes call the player.
        temperature: 0 takes the likeliest token every time.
        max_new_tokens: the longest answer; :data:`MAX_NEW_TOKENS` if not given.
        batch: the most requests at once, up to :data:`PARALLEL`.
        timeout: seconds without a byte.
        sleep: waits between tries.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        name: str,
        temperature: float = 0.0,
        max_new_tokens: int | None = None,
        batch: int = PARALLEL,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not 0 <= temperature < float("inf"):
            raise UsageError(f"temperature is {temperature}; give a finite number, 0 or larger")
        self.url, self.model, self.name = url.rstrip("/"), model, name
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens or MAX_NEW_TOKENS
        self.requests = self.retries = self.prompt_tokens = self.sampled_tokens = self.uncounted = 0
        """Totals so far: requests that were answered, tries beyond the first, tokens by the server's count, and
        answers whose count was missing or impossible."""
        self._parallel, self._timeout, self._sleep = min(batch, PARALLEL), timeout, sleep
        self._lock = threading.Lock()

    @property
    def notes(self) -> list[str]:
        """Remarks to print beside this player's results, one line each."""
        if not self.requests:
            return []
        tokens = (
            f"{counted(self.prompt_tokens, 'token')} read and {self.sampled_tokens:,} sampled, as the server counts"
        )
        notes = [f"{self.name}: {counted(self.requests, 'answer')}, retries: {self.retries:,}; {tokens}"]
        if self.uncounted:
            notes.append(
                f"{self.name}: the server gave no possible token count for {counted(self.uncounted, 'answer')}"
            )
        return notes

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        """Ask for an answer to each request.

        Raises:
            UsageError: the server refuses, or gives no answer in :data:`TRIES` tries.
        """
        with ThreadPoolExecutor(self._parallel) as pool:
            asked = [pool.submit(self._answer, turn) for turn in turns]
            try:
                return [future.result() for future in asked]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _answer(self, turn: Request) -> Answer:
        body = {
            "model": self.model,
            "messages": [_message(turn.episode.task.cell, m) for m in prompt(turn.episode)],
            "temperature": self.temperature,
            "max_tokens": self.max_new_tokens,
            "seed": _seed(turn),
        }
        began = time.perf_counter()
        reply = self._post(body)
        choice = reply["choices"][0]
        read, sampled = self._usage(reply.get("usage"))
        sample = Sample(
            tokens=sampled,
            prompt_tokens=read,
            seconds=time.perf_counter() - began,
            temperature=self.temperature,
            logp=None,
            truncated=choice.get("finish_reason") == "length",
        )
        return Answer(choice["message"].get("content") or "", sample)

    def _usage(self, usage: Any) -> tuple[int, int]:
        """Tokens read and sampled, by the server's count; 0 where it is missing or impossible."""
        counts = usage if isinstance(usage, dict) else {}
        read, sampled = (_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        possible = read >= 0 and 0 <= sampled <= self.max_new_tokens
        if not possible:
            read = sampled = 0
        with self._lock:
            self.requests += 1
            self.uncounted += not possible
            self.prompt_tokens += read
            self.sampled_tokens += sampled
        return read, sampled

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        """The server's reply to a request.

        Raises:
            UsageError: it refuses, or does not answer in :data:`TRIES` tries.
        """
        for number in range(1, TRIES + 1):
            try:
                return self._once(body)
            except _TryAgain as error:
                if number == TRIES:
                    raise UsageError(f"{self.url} gave no answer in {TRIES} tries: {error}; try again later") from None
                with self._lock:
                    self.retries += 1
                # Many requests that were refused at once do not come back at once.
                patience = min(WAIT[1], WAIT[0] * 2 ** (number - 1)) * random.uniform(0.75, 1.25)
                self._sleep(patience if error.wait is None else error.wait)
        raise AssertionError("the last try returns or raises")

    def _once(self, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "User-Agent": "labkit"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        data = json.dumps(body).encode("utf-8")
        request = urllib.request.Request(f"{self.url}/chat/completions", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                reply = json.load(response)
        except urllib.error.HTTPError as error:
            said = _said(error)
            if error.code in AGAIN:
                raise _TryAgain(f"{error.code} {said}", _retry_after(error.headers.get("Retry-After"))) from None
            hint = f"; put the key into {KEY}" if error.code in (401, 403) else ""
            raise UsageError(f"{self.url} refuses with {error.code}: {said}{hint}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # A stalled or broken connection, or a reply that was cut off.
            reason = getattr(error, "reason", None) or error
            raise _TryAgain(str(reason) or type(reason).__name__) from None
        if not _complete(reply):
            raise _TryAgain("the reply holds no message")
        return reply


class _TryAgain(Exception):
    """A request that failed for a while.

    Args:
        wait: seconds that the server asks for.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def is_endpoint(spec: str) -> bool:
    """Whether a player's name is a server's address."""
    return spec.startswith(("http://", "https://"))


def split(spec: str) -> tuple[str, str]:
    """The address and the model of ``http://HOST/v1#MODEL``.

    Raises:
        UsageError: one of them is missing, or the address holds a password.
    """
    url, _, model = spec.partition("#")
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname or not model:
        raise UsageError(f"{spec} is not a server and its model: write http://HOST:PORT/v1#MODEL")
    if parts.username or parts.password:
        raise UsageError(f"leave the key out of the address, which episodes store; put it into {KEY}")
    return url, model


def _message(cell: str, message: Message) -> dict[str, Any]:
    if message.picture is None:
        return {"role": message.role, "content": message.text}
    stored = io.BytesIO()
    game(cell).draw(message.picture).save(stored, "PNG")
    address = "data:image/png;base64," + base64.b64encode(stored.getvalue()).decode("ascii")
    parts = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": message.text}]
    return {"role": message.role, "content": parts}


def _seed(turn: Request) -> int:
    """A number for the request's key, the position and the attempt."""
    key = (*turn.key, len(turn.episode.positions), len(turn.episode.position.attempts))
    return random.Random("/".join(map(str, key))).randrange(2**31)


def _count(value: Any) -> int:
    """A token count, or -1 where it is none."""
    return value if type(value) is int else -1


def _complete(reply: Any) -> bool:
    """Whether a reply holds a message. A server may answer an error with status 200."""
    try:
        content = reply["choices"][0]["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        return False
    return content is None or isinstance(content, str)


def _retry_after(text: str | None) -> float | None:
    """Seconds of the header, at most :data:`WAIT`'s; a date there is not read."""
    return min(float(text), WAIT[1]) if text and re.fullmatch(r"\d+(\.\d+)?", text) else None


def _said(error: urllib.error.HTTPError) -> str:
    """The message of an error, in one line."""
    try:
        text = error.read(10_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return error.reason
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["error"]["message"]
    return " ".join(str(text).split())[:300] or str(error.reason)
