"""The server of `fedn review`: on this machine alone, and only for whoever knows the token in the address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from fedn_lightning.errors import AnnotationError, ConfigError, FednError
from fedn_lightning.review.events import ConflictError, History
from fedn_lightning.review.session import Session

HOST = "127.0.0.1"

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

STATIC = {
    "review.css": ("review.css", "text/css"),
    "review.js": ("review.js", "text/javascript"),
    "controls.js": ("controls.js", "text/javascript"),
}
"""The page's files: address, name and kind."""


def application(session: Session, token: str) -> Starlette:
    """The pages of a review below `/<token>/`; every other address is unknown."""
    api = _Api(session)
    routes = [
        Route("/api/queue", api.queue),
        Route("/api/videos/{key}", api.state),
        Route("/api/videos/{key}/timeline", api.timeline),
        Route("/api/videos/{key}/curves", api.curves),
        Route("/api/videos/{key}/changes", api.change, methods=["POST"]),
        Route("/media/{key}", api.media),
        Route("/frames/{key}/{number:int}", api.frame),
        Route("/", api.page),
        *(Route(f"/{path}", _static(*file)) for path, file in STATIC.items()),
    ]
    # The name of the host is checked, so that no other site can reach this server under a name of its own.
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    handlers: Any = {FednError: _refused, ConflictError: _refused}

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(session.queue)  # loads the pool of threads before the first page waits for it
        yield

    pages = [Mount(f"/{token}", routes=routes)]
    return Starlette(routes=pages, middleware=[guard], exception_handlers=handlers, lifespan=lifespan)


def serve(session: Session, port: int = 0, ready: Callable[[str], None] = print) -> None:
    """Serves a review until it is interrupted."""
    token = secrets.token_urlsafe(16)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"--port {port} cannot be taken: {error}.") from None
        listener.listen()
        ready(f"http://{HOST}:{listener.getsockname()[1]}/{token}/")
        settings = uvicorn.Config(
            application(session, token), log_level="error", access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(settings)
        # Questions that are open when a person ends the server are no errors.
        logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
        asyncio.run(server.serve([listener]))


class _Api:
    """Answers the page's questions about one review."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def page(self, request: Request) -> Response:
        """The page, with the address of the first video in it."""
        first = next((row["id"] for row in self.session.queue()), "")
        return HTMLResponse(_read("review.html").replace("FIRST", first), headers=HEADERS)

    def queue(self, request: Request) -> Response:
        return JSONResponse(self.session.queue(), headers=HEADERS)

    def state(self, request: Request) -> Response:
        key = request.path_params["key"]
        if request.query_params.get("since") == str(self.session.history(key).version):
            return Response(status_code=204, headers=HEADERS)
        return JSONResponse(self.session.state(key), headers=HEADERS)

    def timeline(self, request: Request) -> Response:
        return JSONResponse(self.session.timeline(request.path_params["key"]), headers=HEADERS)

    def curves(self, request: Request) -> Response:
        first, last = (_number(request, name) for name in ("first", "last"))
        return JSONResponse(self.session.curves(request.path_params["key"], first or 1, last or 1), headers=HEADERS)

    def media(self, request: Request) -> Response:
        """The file itself; the library answers requests for a range of bytes."""
        video = self.session.playable(self.session.history(request.path_params["key"]))
        if video.path.is_dir():
            return Response(status_code=404)
        return FileResponse(video.path, headers={"Cache-Control": "no-store"})

    def frame(self, request: Request) -> Response:
        video = self.session.playable(self.session.history(request.path_params["key"]))
        number, face = request.path_params["number"], _number(request, "face")
        if face is None:
            data = self.session.pictures.whole(video, number)
        else:
            data = self.session.pictures.crop(video, number, face, _number(request, "since"))
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def change(self, request: Request) -> Response:
        """One change, by its `kind`: event, done, subject or undo."""
        try:
            body = await request.json()
            change = self._change(body["kind"], body)
        except (ValueError, KeyError, TypeError):
            raise AnnotationError("The change cannot be read.") from None
        key = request.path_params["key"]
        state = await run_in_threadpool(self.session.change, key, change)
        # The change is saved; what others read is written once the page has its answer.
        return JSONResponse(state, headers=HEADERS, background=BackgroundTask(self.session.export, key))

    def _change(self, kind: str, body: dict[str, Any]) -> Callable[[History], None]:
        coder = self.session.coder
        changes: dict[str, Callable[[History], None]] = {
            "event": lambda history: history.change(body.get("before"), body.get("after"), coder),
            "done": lambda history: history.set_done(bool(body.get("after")), coder),
            "subject": lambda history: history.set_subject(body.get("after"), coder),
            "undo": lambda history: history.undo(coder),
        }
        return changes[kind]


def _number(request: Request, name: str) -> int | None:
    """A whole number of the query, None if it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise AnnotationError(f"{name} must be a number, got {text!r}.")
    return int(text)


def _read(name: str) -> str:
    return Path(str(files("fedn_lightning.review") / "static" / name)).read_text(encoding="utf-8")


def _static(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Gives one of the page's files."""
    text = _read(name)

    async def give(request: Request) -> Response:
        return Response(text, media_type=kind, headers=HEADERS)

    return give


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409 if isinstance(error, ConflictError) else 400, headers=HEADERS)
