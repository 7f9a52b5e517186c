"""Public keys: which are accepted, and how they are named."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.forging import NOT_CANONICAL, SMALL_ORDER, b64, unb64
from tests.crypto.samples import PRIVATE, THUMBPRINT, X
from tests.tables import every
from ticketstub.crypto import InvalidKey, Jwk, compute_thumbprint, read_public_key
from ticketstub.protocol import codec, lenient

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

KEY: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "demo-key-1", "use": "sig", "alg": "EdDSA"}


def rsa_key(bits: int, exponent: int = 65537) -> dict[str, Any]:
    numbers = rsa.generate_private_key(exponent, bits).public_key().public_numbers()
    n, e = (value.to_bytes((value.bit_length() + 7) // 8) for value in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": b64(n), "e": b64(e), "kid": "rsa-1"}


RSA_2048 = rsa_key(2048)
RSA_N = int.from_bytes(unb64(RSA_2048["n"]))


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def test_a_documented_key_is_taken():
    """The JWK on Plex's pages is accepted, with and without `use` and `alg`, and keeps its values."""
    for left_out in ((), ("use",), ("alg",), ("use", "alg")):
        members = {name: value for name, value in KEY.items() if name not in left_out}
        assert Jwk(**members) == read_public_key(members, allow_rsa=False)


def test_members_of_other_specifications_are_passed_over():
    """Other members of a JWK are ignored and not kept."""
    assert Jwk(**KEY) == read_public_key({**KEY, "key_ops": ["verify"], "ext": True, "x5t": "AAAA"}, allow_rsa=False)


def test_thumbprint():
    """A thumbprint follows RFC 7638 and uses the required members alone (the value is from RFC 8037, A.3)."""
    assert THUMBPRINT == compute_thumbprint(Jwk(kty="OKP", crv="Ed25519", x=X)) == compute_thumbprint(Jwk(**KEY))


def test_thumbprint_of_an_rsa_key():
    """The thumbprint of RFC 7638's own example (3.1) is reproduced."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
        "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu"
        "r-kEgU8awapJzKnqDKgw"
    )
    assert "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" == compute_thumbprint(
        Jwk(kty="RSA", n=n, e="AQAB", kid="2011-04-29")
    )


@pytest.mark.parametrize(
    "members", [{}, {"kty": "OKP"}, {"kty": "RSA", "n": "AQ"}, {"kty": "EC", "crv": "P-256", "x": X}]
)
def test_no_thumbprint_of_half_a_key(members: dict[str, Any]):
    """An incomplete key has no thumbprint."""
    with pytest.raises(InvalidKey):
        compute_thumbprint(Jwk(**members))


def test_written_without_nulls():
    """A key is written with just the members that it has, and is read back from them."""
    key = Jwk(kty="OKP", crv="Ed25519", x=X, kid="k")
    members = {"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "k"}
    assert members == codec.to_builtins(key)
    assert key == lenient.read_model(Jwk, members)


def edwards(data: bytes) -> tuple[int, int] | None:
    """Decode a point as RFC 8032, 5.1.3 does, without the check that it is canonical."""
    y, sign = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    y %= P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return None if x * x % P != square else (P - x if x % 2 != sign else x, y)


def times_8(point: tuple[int, int]) -> tuple[int, int]:
    for _ in range(3):
        x, y = point
        product = D * x * x * y * y
        point = 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P
    return point


@every("point", SMALL_ORDER)
def test_small_order(point: str):
    """The eight points of small order are refused: signatures for them need no private key."""
    data = bytes.fromhex(point)
    found = edwards(data)
    assert found is not None
    assert (0, 1) == times_8(found)
    with pytest.raises(InvalidKey, match="small order"):
        read_public_key({**KEY, "x": b64(data)}, allow_rsa=True)


@every("point", NOT_CANONICAL)
def test_not_canonical(point: str):
    """A non-canonical spelling of any point is refused."""
    with pytest.raises(InvalidKey, match=r"canonical|small order"):
        read_public_key({**KEY, "x": b64(bytes.fromhex(point))}, allow_rsa=True)


@given(st.binary(min_size=32, max_size=32))
def test_on_the_curve(data: bytes):
    """About half of all 32-byte values are points, and exactly those are accepted."""
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    good = edwards(data) is not None and y < P and data.hex() not in {*SMALL_ORDER, *NOT_CANONICAL}
    try:
        read_public_key({**KEY, "x": b64(data)}, allow_rsa=False)
        taken = True
    except InvalidKey:
        taken = False
    assert good == taken


@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_taken(private: bytes):
    """The public key of any private key is accepted."""
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    read_public_key({**KEY, "x": b64(public)}, allow_rsa=False)


def test_the_placeholder_of_the_pages_is_no_key():
    """The `x` of the documented sample is a placeholder, not a point, and is refused."""
    with pytest.raises(InvalidKey, match="not a point"):
        read_public_key({**KEY, "x": "BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY"}, allow_rsa=True)


WRONG: dict[str, dict[str, Any]] = {
    "no x": {"x": None},
    "x of 31 bytes": {"x": b64(bytes(31))},
    "x of 33 bytes": {"x": b64(bytes(33))},
    "x and a byte more": {"x": b64(unb64(X) + bytes(1))},
    "x padded": {"x": f"{X}="},
    "x with a newline": {"x": f"{X}\n"},
    "x in the standard alphabet": {"x": X.replace("_", "/")},
    "x with stray bits": {"x": f"{X[:-1]}p"},
    "x beyond ASCII": {"x": f"{X[:-1]}é"},
    "x with half a surrogate pair": {"x": f"{X[:-1]}\ud800"},
    "x as a number": {"x": 7},
    "x as a list": {"x": [X]},
    "another curve": {"crv": "Ed448"},
    "a curve for encryption": {"crv": "X25519"},
    "no curve": {"crv": None},
    "another kind": {"kty": "EC"},
    "a shared secret": {"kty": "oct", "k": "AAAA"},
    "no kind": {"kty": None},
    "kind in lower case": {"kty": "okp"},
    "for encryption": {"use": "enc"},
    "another algorithm": {"alg": "HS256"},
    "RSA's algorithm": {"alg": "RS256"},
    "no algorithm": {"alg": "none"},
    "an empty kid": {"kid": ""},
    "a long kid": {"kid": "k" * 129},
    "a path as kid": {"kid": "../k"},
    "a kid with a newline": {"kid": "k\n"},
    "a kid beyond ASCII": {"kid": "ключ"},
    "a number as kid": {"kid": 1},
}


@every("name", list(WRONG))
def test_refused(name: str):
    """A key with an invalid member is refused, and the message repeats none of its values."""
    with pytest.raises(InvalidKey) as caught:
        read_public_key({**KEY, **WRONG[name]}, allow_rsa=True)
    assert X[:12] not in str(caught.value)


@pytest.mark.parametrize(
    "kid", ["a" * 64, "a" * 128, "3f0c9b52-1d5e-4a86-9d1f-0c5b7a2e4d10", THUMBPRINT, "demo-key_1.x"]
)
def test_names_as_seen(kid: str):
    """The names that published clients give their keys are accepted."""
    assert kid == read_public_key({**KEY, "kid": kid}, allow_rsa=False).kid


def test_a_key_without_kid_is_named_by_its_thumbprint():
    """A key without `kid`, such as the documented sample, is named by its thumbprint."""
    assert THUMBPRINT == read_public_key({**KEY, "kid": None}, allow_rsa=False).kid
    bare = {name: value for name, value in KEY.items() if name != "kid"}
    assert THUMBPRINT == read_public_key(bare, allow_rsa=False).kid
    with pytest.raises(InvalidKey):
        read_public_key({"kty": "OKP", "crv": "Ed25519"}, allow_rsa=False)


@every("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_private_members(member: str):
    """A key that includes its private part is refused, and the message does not repeat it."""
    secret = b64(PRIVATE)
    for value in (secret, None):
        with pytest.raises(InvalidKey, match="private part") as caught:
            read_public_key({**KEY, member: value}, allow_rsa=True)
        assert secret not in str(caught.value)


def test_rsa_where_it_is_taken():
    """An RSA key of 2048 to 4096 bits is accepted only if RSA is allowed."""
    for members in (RSA_2048, {**RSA_2048, "alg": "RS256", "use": "sig"}, rsa_key(3072)):
        assert Jwk(**members) == read_public_key(members, allow_rsa=True)
        with pytest.raises(InvalidKey, match="kty"):
            read_public_key(members, allow_rsa=False)


WRONG_RSA: dict[str, dict[str, Any]] = {
    "1024 bits": {"n": number(RSA_N >> 1024 | 1)},
    "2047 bits": {"n": number(RSA_N >> 1 | 1)},
    "4104 bits": {"n": number(RSA_N << 2056 | 1)},
    "an even number": {"n": number(RSA_N - 1)},
    "100 kB": {"n": "A" * 100_000},
    "leading zeros": {"n": b64(bytes(1) + RSA_N.to_bytes(256))},
    "no n": {"n": None},
    "an empty n": {"n": ""},
    "n padded": {"n": f"{RSA_2048['n']}=="},
    "exponent 1": {"e": "AQ"},
    "exponent 3": {"e": "Aw"},
    "an even exponent": {"e": "AQAA"},
    "exponent with a zero": {"e": "AAEAAQ"},
    "no exponent": {"e": None},
    "EdDSA": {"alg": "EdDSA"},
    "PS256": {"alg": "PS256"},
}


@every("name", list(WRONG_RSA))
def test_rsa_refused(name: str):
    """A weak or unusual RSA key is refused."""
    with pytest.raises(InvalidKey):
        read_public_key({**RSA_2048, **WRONG_RSA[name]}, allow_rsa=True)


@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "n", "e", "kid", "use", "alg", "d"]), st.text() | st.none() | st.integers()
    )
)
def test_anything(data: dict[str, object]):
    """Any value is accepted or refused as a key, without any other exception."""
    with pytest.raises(InvalidKey):
        read_public_key({**data, "kid": "k/"}, allow_rsa=True)
    with suppress(InvalidKey):
        read_public_key({**KEY, **data}, allow_rsa=True)
