"""Handler for the avatars at accounts' `thumb` URLs: a coloured square with the account's initial.

Rule: an avatar needs no token, as any picture in a browser. It reveals only the initial and is always the same for an
account. Plex serves the picture that the user chose; this one is made up.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from functools import lru_cache
from hashlib import sha256
from string import ascii_uppercase, digits

from ticketstub.local_plex.api import PlexTvContext, Routes
from ticketstub.local_plex.http.response import PLEX_TV_BODILESS_HEADERS, OutgoingResponse
from ticketstub.local_plex.http.router import Route
from ticketstub.protocol.call import Call, HttpSpec
from ticketstub.refusals import NotFound

_GRID_SIZE, _CELL_PIXELS = 11, 8  # cells, and pixels of each; with one bit a pixel, a byte is a cell
_MARGIN_LEFT, _MARGIN_TOP = 3, 2
_GLYPH_WIDTH, _GLYPH_HEIGHT = 5, 7
_LETTERS = digits + ascii_uppercase
# Each letter's five columns from the left; in each the seven cells from the top, lowest bit first.
_GLYPH_COLUMNS = bytes.fromhex(
    "3e5149453e 00427f4000 4261514946 2141454b31 1814127f10 2745454539 3c4a494930 0171090503 3649494936 064949291e "
    "7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a 7f0808087f 00417f4100 2040413f01 "
    "7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e 7f09192946 4649494931 01017f0101 "
    "3f4040403f 1f2040201f 3f4038403f 6314081463 0708700807 6151494543"
)


class GetAvatar(Call[bytes], frozen=True, kw_only=True):
    """Get an account's avatar, a PNG: `GET /users/{uuid}/avatar`, 200, no token (its URL is observed)."""

    http = HttpSpec(
        "GET", "/users/{uuid}/avatar", "get_avatar", needs_token=False, media_type="image/png", mark="assumed"
    )

    uuid: str


async def get_avatar(context: PlexTvContext, call: GetAvatar) -> OutgoingResponse:
    """Draw an account's avatar; raises `NotFound` for an unknown uuid."""
    account = await context.server.store.find_account_by_uuid(call.uuid)
    if account is None:
        raise NotFound
    picture = draw_avatar(call.uuid, get_initial(account.record.title or account.record.username or ""))
    tag = sha256(picture).hexdigest()[:32].encode()
    return OutgoingResponse(
        200, [(b"content-type", b"image/png"), (b"etag", b'"%s"' % tag), *PLEX_TV_BODILESS_HEADERS], picture
    )


def get_initial(name: str) -> str:
    """Return the first letter or digit of a name, without accents; empty if it has none."""
    plain = unicodedata.normalize("NFKD", name).upper()
    return next((letter for letter in plain if letter.isalnum()), "")


@lru_cache(maxsize=128)
def draw_avatar(uuid: str, letter: str) -> bytes:
    """Draw a letter in white on the account's colour, as a PNG; an unknown letter is left out."""
    offset = _LETTERS.index(letter) * _GLYPH_WIDTH if letter and letter in _LETTERS else len(_GLYPH_COLUMNS)
    columns = _GLYPH_COLUMNS[offset : offset + _GLYPH_WIDTH].ljust(_GLYPH_WIDTH, b"\0")
    lines = [bytes(_GRID_SIZE)] * _MARGIN_TOP
    lines += [
        bytes(_MARGIN_LEFT)
        + bytes(255 * (column >> y & 1) for column in columns)
        + bytes(_GRID_SIZE - _MARGIN_LEFT - _GLYPH_WIDTH)
        for y in range(_GLYPH_HEIGHT)
    ]
    lines += [bytes(_GRID_SIZE)] * (_GRID_SIZE - _MARGIN_TOP - _GLYPH_HEIGHT)
    colour = bytes(32 + byte % 112 for byte in sha256(uuid.encode()).digest()[:3])
    size, pixels = _GRID_SIZE * _CELL_PIXELS, b"".join((b"\0" + line) * _CELL_PIXELS for line in lines)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _pack_chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 1, 3, 0, 0, 0)),
            _pack_chunk(b"PLTE", colour + b"\xff\xff\xff"),
            _pack_chunk(b"IDAT", zlib.compress(pixels)),
            _pack_chunk(b"IEND", b""),
        )
    )


def _pack_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ROUTES: Routes = [Route(GetAvatar, get_avatar)]
