"""The web application: a page, its files, a photograph. It holds no state."""

import functools
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pellucid.studio.guard import Guard
from pellucid.studio.page import arithmetic_page
from pellucid.studio.photo import photo_png, sample_photo

__all__ = ["build_app"]

NO_PHOTO = (
    "There is no photograph to show. Start with `pellucid studio --image PHOTO`, or `pip install scikit-learn` for its "
    "sample photograph."
)


def build_app(port: int, image: Path | None = None) -> Starlette:
    """The application for a server on this port; `image` is the photograph it shows."""

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

    routes = [
        Route("/", lambda _: RedirectResponse("/arithmetic")),
        Route("/arithmetic", lambda _: HTMLResponse(arithmetic())),
        Route("/photo", show_photo),
        Mount("/static", StaticFiles(packages=[("pellucid.studio", "static")])),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(Guard, port=port), Middleware(GZipMiddleware, compresslevel=5)]
    )
