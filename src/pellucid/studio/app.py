"""The web application: the page Arithmetic, its files, a photograph; and the pages of a model, where there is one."""

import functools
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pellucid.studio.address import Address
from pellucid.studio.guard import Guard
from pellucid.studio.page import STARTS, arithmetic_page, missing, shell
from pellucid.studio.photo import photo_png, sample_photo
from pellucid.studio.subject import Subject

__all__ = ["build_app"]

NO_PHOTO = (
    "There is no photograph to show. Start with `pellucid studio --image PHOTO`, or `pip install scikit-learn` for its "
    "sample photograph."
)


def build_app(port: int, image: Path | None = None, subject: Subject | None = None) -> Starlette:
    """The application for a server on this port; `image` is the photograph it tries kernels on, `subject` what the
    other pages show. Its `state.stop()` ends what is still being computed."""

    own = photo_png(image) if image else None

    @functools.cache
    def photo() -> bytes | None:
        sample = None if own else sample_photo()
        return photo_png(sample) if sample else own

    @functools.cache
    def arithmetic() -> str:
        return arithmetic_page()

    def show_photo(_: Request) -> Response:
        picture = photo()
        return PlainTextResponse(NO_PHOTO, 404) if picture is None else Response(picture, media_type="image/png")

    first, pages, stop = _pages(subject)
    routes = [
        Route("/", lambda _: RedirectResponse(first)),
        Route("/arithmetic", lambda _: HTMLResponse(arithmetic())),
        Route("/photo", show_photo),
        *pages,
        Mount("/static", StaticFiles(packages=[("pellucid.studio", "static")])),
    ]
    guards = [Middleware(Guard, port=port), Middleware(GZipMiddleware, compresslevel=5)]
    application = Starlette(routes=routes, middleware=guards)
    application.state.stop = stop
    return application


def _pages(subject: Subject | None) -> tuple[str, list[Route], Callable[[], None]]:
    """Where to begin, the other pages, and what ends the work behind them; without a model or a run each says how to
    give one, and torch sleeps."""
    if subject is None or (subject.model is None and subject.run is None):
        return "/arithmetic", [Route(path, _missing) for path in STARTS], lambda: None
    from pellucid.studio.routes import page_routes

    return ("/network" if subject.model else "/training"), *page_routes(subject)


def _missing(request: Request) -> Response:
    path = request.url.path
    return HTMLResponse(shell(missing(path), Address(path, {})))
