"""Reads a sample from this folder."""

from pathlib import Path

from ticketstub.messages import Response


def sample(name: str) -> bytes:
    """Return a sample's bytes, as the service would send them."""
    return (Path(__file__).parent / name).read_bytes()


def answer(name: str, status: int = 200) -> Response:
    """Return a sample as an answer; its Content-Type is left out on purpose: the body decides."""
    return Response(status, {}, sample(name))
