"""The pages of a model and their pictures, by address."""

from collections.abc import Callable
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pellucid.errors import PellucidError, UsageError
from pellucid.report.markup import tag
from pellucid.studio.address import Address
from pellucid.studio.cost_page import cost_page
from pellucid.studio.drawing import pixels_png
from pellucid.studio.growth import growth
from pellucid.studio.memo import NotYetError
from pellucid.studio.mistakes_page import mistakes_page
from pellucid.studio.network_page import network_page
from pellucid.studio.page import PAGES, STARTS, Page, missing, shell, waiting
from pellucid.studio.planes import Planes, kernel_planes, map_planes, stream_planes, strip_planes
from pellucid.studio.session import LONG, Session
from pellucid.studio.sprites import SCALES, clear_png, sprite_png, stacked
from pellucid.studio.subject import Subject
from pellucid.studio.training_page import following, kernel_steps, training_page
from pellucid.studio.why_page import why_page
from pellucid.training.folder import RunFolder

__all__ = ["page_routes"]

SHOWN, THUMBNAIL = 800, 224
"""Pixels of the longer side of a photo on a page, and of a small one."""

Make = Callable[[Session, Address], Page]
Paint = Callable[[Session, Address], bytes]


def page_routes(subject: Subject) -> tuple[list[Route], Callable[[], None]]:
    """All of them, and what ends the work behind them; what the subject lacks, a page says."""
    routes, stop = [] if subject.run is None else _run_routes(subject.run), _nothing
    if subject.model is not None:
        session = Session(subject)
        session.warm()
        stop = session.stop
        routes += [Route(path, _page(session, make)) for path, make in MAKERS.items()]
        routes += [Route(path, _picture(session, paint)) for path, paint in PAINTERS.items()]
    there = {route.path for route in routes}
    return routes + [Route(path, _lacking) for path in STARTS if path not in there], stop


def _nothing() -> None:
    """There is no work."""


def _run_routes(run: Path) -> list[Route]:
    """The page of a training, its stream, and the kernels of its model."""

    def page(request: Request) -> Response:
        address = _address(request)
        return HTMLResponse(shell(training_page(run, address), address))

    def stream(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        events = following(run, int(seen) if seen.isdecimal() else 0)
        return StreamingResponse(events, media_type="text/event-stream")

    def kernels(request: Request) -> Response:
        return _sprite(request, kernel_steps(RunFolder(run).model))

    def grown(request: Request) -> Response:
        found = growth(run)
        return Response(status_code=404) if found is None else _sprite(request, found.sprite())

    pictures = [Route("/training/kernels.png", kernels), Route("/training/growth.png", grown)]
    return [Route("/training", page), Route("/training/events", stream), *pictures]


def _sprite(request: Request, steps: UInt8[ndarray, "h w"]) -> Response:
    theme = "dark" if request.query_params.get("theme") == "dark" else "light"
    return Response(sprite_png(steps, theme), media_type="image/png")


def _address(request: Request) -> Address:
    return Address(request.url.path, dict(request.query_params))


def _lacking(request: Request) -> Response:
    return HTMLResponse(shell(missing(request.url.path), _address(request)))


def _page(session: Session, make: Make) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        address = _address(request)
        try:
            return HTMLResponse(shell(make(session, address), address))
        except NotYetError:
            return HTMLResponse(shell(waiting(address.path, "It is being computed."), address))
        except PellucidError as error:
            return HTMLResponse(shell(_refusal(address, error), address), 400)

    return answer


def _refusal(address: Address, error: PellucidError) -> Page:
    again = tag("a", "Start again", href=address.path)
    return Page(PAGES[address.path], tag("span", str(error), role="alert"), tag("p", again), str(error))


def _picture(session: Session, paint: Paint) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return Response(paint(session, _address(request)), media_type="image/png")
        except PellucidError as error:
            return PlainTextResponse(str(error), 400)

    return answer


def _painted(planes: Planes, address: Address) -> bytes:
    theme = address.text("theme") or "light"
    if theme not in SCALES:
        raise UsageError(f"theme={theme} in the address: there is {', '.join(SCALES)}.")
    return sprite_png(stacked(*planes), theme)


def _named(address: Address) -> str:
    name = address.text("op")
    if name is None:
        raise UsageError("The address names no operation: op=NAME.")
    return name


def _strip(session: Session, address: Address) -> bytes:
    look = session.look(address, LONG)
    key = ("strip", session.image(address), look.target)
    picture: bytes = session.memo.get(key, lambda: clear_png(stacked(*strip_planes(look))), LONG)
    return picture


def _maps(session: Session, address: Address) -> bytes:
    channels = address.numbers("channels")
    return _painted(map_planes(session.look(address, LONG), _named(address), channels), address)


def _kernels(session: Session, address: Address) -> bytes:
    channel = address.number("channel") or 0
    return _painted(kernel_planes(session.look(address, LONG), _named(address), channel), address)


def _streams(session: Session, address: Address) -> bytes:
    streams = session.streams(address, LONG)
    if streams is None:
        raise UsageError("This network has no streams.")
    return _painted(stream_planes(streams), address)


def _view(session: Session, address: Address) -> bytes:
    return pixels_png(session.look(address, LONG).pixels)


def _photo(session: Session, address: Address) -> bytes:
    return pixels_png(session.picture(address), SHOWN)


def _thumbnail(session: Session, address: Address) -> bytes:
    return pixels_png(session.photos.pixels(session.image(address)), THUMBNAIL)


MAKERS: dict[str, Make] = {
    "/network": network_page,
    "/why": why_page,
    "/cost": cost_page,
    "/mistakes": mistakes_page,
}
PAINTERS: dict[str, Paint] = {
    "/strip.png": _strip,
    "/maps.png": _maps,
    "/kernels.png": _kernels,
    "/streams.png": _streams,
    "/view.png": _view,
    "/photo.png": _photo,
    "/thumbnail.png": _thumbnail,
}
