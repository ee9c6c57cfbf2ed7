"""The phones' side of a class: a page, its script, and two addresses that it asks. No password, no Gradio session.

A phone can read the open question and vote; it reaches nothing else of the app.
"""

from __future__ import annotations

import json
import re
import secrets
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.classroom import html
from app.classroom.poll import Poll, VoteRefused
from labkit.views.markup import stylesheet

COOKIE = "labkit_voter"
TOKEN = re.compile("[0-9a-f]{32}")
LONGEST = 200
"""Bytes of a vote, at most."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(poll: Poll) -> list[Route]:
    """The addresses under ``/class``."""
    static = files("app") / "static"
    style, own, script = (
        static.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "class.css", "phone.js")
    )

    async def page(request: Request) -> Response:
        answer = HTMLResponse(html.SHELL, headers=HEADERS)
        if not _voter(request):
            answer.set_cookie(COOKIE, secrets.token_hex(16), path="/class", httponly=True, samesite="strict")
        return answer

    async def look(request: Request) -> Response:
        """How the vote stands for this phone; the HTML only if the phone shows an older step."""
        standing, mine = poll.seen_by(_voter(request))
        found: dict[str, Any] = {"version": standing.version, "mine": mine}
        if request.query_params.get("seen") != str(standing.version):
            found["html"] = html.phone(poll, standing, mine)
        return JSONResponse(found, headers=HEADERS)

    async def vote(request: Request) -> Response:
        voter = _voter(request)
        if not voter:
            return _refused(403, "Allow cookies for this page and open it again.")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST:
                return _refused(413, "That is no vote.")
        try:
            version, choice = _read(body)
            poll.vote(voter, version, choice)
        except ValueError:
            return _refused(400, "That is no vote.")
        except VoteRefused as refusal:
            return _refused(409, str(refusal))
        return JSONResponse({"mine": choice}, headers=HEADERS)

    def text(content: str, kind: str) -> Any:
        async def answer(request: Request) -> Response:
            return Response(content, media_type=kind, headers=HEADERS)

        return answer

    return [
        Route("/class", page),
        Route("/class/look", look),
        Route("/class/vote", vote, methods=["POST"]),
        Route("/class/phone.css", text(f"{stylesheet()}{style}{own}", "text/css")),
        Route("/class/phone.js", text(script, "text/javascript")),
    ]


def _voter(request: Request) -> str:
    """The phone's token; empty without one of ours."""
    token = request.cookies.get(COOKIE, "")
    return token if TOKEN.fullmatch(token) else ""


def _read(body: bytes) -> tuple[int, int]:
    """Version and choice of a vote.

    Raises:
        ValueError: it is no JSON object with two whole numbers.
    """
    match json.loads(body):
        # An exact type: true is an int too.
        case {"version": version, "choice": choice} if type(version) is type(choice) is int:
            return version, choice
    raise ValueError("no vote")


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"refused": message}, status, headers=HEADERS)
