"""Hostile JWTs: every known attack on readers of JWTs, derived from one valid JWT.

To use it, also for tests over HTTP, describe a valid JWT for the reader under test and the key that signs it. Check
that the reader accepts `valid.token()` and refuses each of `hostile_tokens(valid)`:

    valid = Valid(header={"kid": …, "typ": "JWT", "alg": "EdDSA"}, claims={…}, private=raw_private(key))
    for name, (text, reason) in (hostile_tokens(valid) | hostile_plex_claims(valid)).items():
        …

`hostile_device_claims` and `hostile_plex_claims` add claims that only one kind of JWT must not have. Without a key,
`altered_tokens(text)` returns the attacks that need none. `reason` is the reason that ticketstub.crypto gives; a test
over HTTP checks the status instead. Each JWT is signed again if possible, so that only one check can refuse it.

`Valid` and `raw_private` are in tests/crypto/forging.py.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.crypto.forging import SMALL_ORDER, L, Valid, b64, part, unb64

# The invalid values of the members below.
Values = tuple[Any, ...]
ALGORITHMS: Values = (
    *("none", "None", "NONE", "nOnE", "", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "Ed448", "HS256", "RS256", "ES256"),
    *("PS256", "dir", None, 1, True, ["EdDSA"], {}),
)
TYPES: Values = ("jwt", "JOSE", "at+jwt", "application/jwt", "", " JWT", None, 1, ["JWT"])
KIDS: Values = (
    *("", " ", "../../../etc/passwd", "' OR '1'='1", "a;b", "|id", "https://attacker.example", "k\n", "k\0", "é"),
    *("x" * 129, "x" * 3000, None, 1, True, ["k"], {"k": 1}),
)
READERS: Values = (
    *("somebody", "", "PLEX.TV", "plex.tv ", "plex.tv,somebody", None, 1, True, {"plex.tv": 1}),
    *([], [""], [["plex.tv"]], ["plex.tv", 1], ["plex.tv", None], ["somebody"], ["Plex.tv"]),
)
NONCES: Values = (None, "", 1, True, ["n"], {}, "a b", "x" * 129, "n\n", "n\0", "é")
THUMBPRINTS: Values = (None, "", 1, True, ["t"], {})
SCOPES: Values = (1, ["username"], {}, True)


class Hostile(NamedTuple):
    """A JWT that must be refused, and the reason that `InvalidJwt` gives."""

    text: str
    reason: str


def hostile_tokens(valid: Valid) -> dict[str, Hostile]:
    """List JWTs that no reader accepts, whatever kind of JWT it expects."""
    return (
        altered_tokens(valid.token())
        | _algorithms(valid)
        | _headers(valid)
        | _spellings(valid)
        | _json(valid)
        | _claims(valid)
    )


def altered_tokens(text: str) -> dict[str, Hostile]:
    """List the changes to a valid JWT that need no key."""
    return _shapes(text) | _signatures(text)


def _reasoned(reason: str, tokens: Mapping[str, str]) -> dict[str, Hostile]:
    return {name: Hostile(text, reason) for name, text in tokens.items()}


def _shapes(text: str) -> dict[str, Hostile]:
    header, claims, signature = text.split(".")
    tokens = {
        "empty text": "",
        "two dots": "..",
        "one part": header,
        "two parts": f"{header}.{claims}",
        "four parts": f"{text}.{signature}",
        "five parts, as encrypted ones have": f"{header}..{claims}.{signature}.{signature}",
        "no header": f".{claims}.{signature}",
        "no claims": f"{header}..{signature}",
        "no signature": f"{header}.{claims}.",
        "dot before": f".{text}",
        "header padded": f"{header}{'=' * (-len(header) % 4) or '===='}.{claims}.{signature}",
        "signature padded": f"{text}==",
        "space before": f" {text}",
        "space after": f"{text} ",
        "newline after": f"{text}\n",
        "newline within": f"{header}.{claims[:8]}\n{claims[8:]}.{signature}",
        "nul after": f"{text}\0",
        "quoted": f'"{text}"',
        "bearer before": f"Bearer {text}",
        "percent-encoded dots": text.replace(".", "%2E"),
        "full-width dots": text.replace(".", "\uff0e"),
        "full-width letter": f"{header}.{chr(ord(claims[0]) + 0xFEE0)}{claims[1:]}.{signature}",
        "ends in half a surrogate pair": f"{header}.{claims}.{signature[:-1]}\ud800",
        "byte order mark before": f"\ufeff{text}",
        "the JSON serialization": json.dumps({"protected": header, "payload": claims, "signature": signature}),
        "very long": f"{header}.{claims * 200}.{signature}",
    }
    return _reasoned("malformed", tokens)


def _signatures(text: str) -> dict[str, Hostile]:
    signed, _, signature = text.rpartition(".")
    raw = unb64(signature)
    other = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
    malleable = raw[:32] + (int.from_bytes(raw[32:], "little") + L).to_bytes(32, "little")
    small = {
        f"R is small point {index}, S is 0": bytes.fromhex(point) + bytes(32) for index, point in enumerate(SMALL_ORDER)
    }
    signatures = {
        "S + L": malleable,
        "all zero": bytes(64),
        "all ones": b"\xff" * 64,
        "truncated by one": raw[:-1],
        "half": raw[:32],
        "one byte": raw[:1],
        "a byte more": raw + b"\0",
        "halves swapped": raw[32:] + raw[:32],
        "by another key": other.sign(signed.encode()),
        "of the claims alone": other.sign(signed.partition(".")[2].encode()),
        **small,
    }
    tokens = {f"signature: {name}": f"{signed}.{b64(made)}" for name, made in signatures.items()}
    stray = f"{signed}.{signature[:-1]}{_stray(signature[-1])}"
    return _reasoned("signature", tokens) | _reasoned("malformed", {"signature: stray bits": stray})


def _algorithms(valid: Valid) -> dict[str, Hostile]:
    public = valid.private.public_key().public_bytes_raw()
    tokens = {f"alg {name!r}": valid.head(alg=name) for name in ALGORITHMS}
    for name in ("none", "HS256"):
        signed = f"{part({**valid.header, 'alg': name})}.{part(valid.claims)}"
        tokens[f"alg {name}, an empty key"] = f"{signed}.{b64(hmac.digest(b'', signed.encode(), 'sha256'))}"
        tokens[f"alg {name}, the public key as secret"] = (
            f"{signed}.{b64(hmac.digest(public, signed.encode(), 'sha256'))}"
        )
    tokens["alg missing"] = valid.headless("alg")
    unsigned = f"{part({**valid.header, 'alg': 'none'})}.{part(valid.claims)}."
    return _reasoned("algorithm", tokens) | _reasoned("malformed", {"alg none, no signature": unsigned})


def _headers(valid: Valid) -> dict[str, Hostile]:
    attacker = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": b64(attacker.public_key().public_bytes_raw()),
        "kid": valid.header["kid"],
    }
    brought = {
        "jwk": key,
        "jku": "https://attacker.example/keys",
        "x5u": "https://attacker.example/certificate",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "x5t#S256": "AAAA",
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "enc": "A256GCM",
        "epk": key,
        "cty": "JWT",
    }
    tokens = {f"header {name}": valid.head(**{name: value}) for name, value in brought.items()}
    tokens |= {f"header {name} of null": valid.head(**{name: None}) for name in ("jwk", "jku", "crit")}
    tokens["crit and b64"] = valid.head(crit=["b64"], b64=False)
    by_attacker = Valid({**valid.header, "jwk": key}, valid.claims, attacker)
    tokens["header jwk, signed by it"] = by_attacker.token()
    tokens |= {f"typ {name!r}": valid.head(typ=name) for name in TYPES}
    names = {f"kid {name!r:.40}": valid.head(kid=name) for name in KIDS}
    names["kid of nobody"] = valid.head(kid="nobodys-key")
    names |= {"kid with newline": valid.head(kid=f"{valid.header['kid']}\n"), "kid missing": valid.headless("kid")}
    names["kid in the claims only"] = valid.token(
        header={name: value for name, value in valid.header.items() if name != "kid"},
        claims={**valid.claims, "kid": valid.header["kid"]},
    )
    return _reasoned("header", tokens) | _reasoned("kid", names)


def _stray(character: str) -> str:
    """Set bits of the last character that base64url does not use."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


def _spellings(valid: Valid) -> dict[str, Hostile]:
    """List other spellings of the same bytes, each correctly signed."""
    header, claims = part(valid.header), json.dumps({**valid.claims, "pad": "~~~???>>>"})
    spelt = next(text for text in (part(claims + " " * count) for count in range(3)) if len(text) % 4)
    odd = next(text for text in (part(json.dumps(valid.header) + " " * count) for count in range(3)) if len(text) % 4)
    tokens = {
        "claims padded": f"{header}.{spelt}{'=' * (-len(spelt) % 4)}",
        "claims with stray bits": f"{header}.{spelt[:-1]}{_stray(spelt[-1])}",
        "header with stray bits": f"{odd[:-1]}{_stray(odd[-1])}.{part(valid.claims)}",
        "claims with a space": f"{header}.{spelt[:9]} {spelt[9:]}",
        "claims with a newline": f"{header}.{spelt[:9]}\n{spelt[9:]}",
        "claims a character short": f"{header}.{(spelt + 'AAAA')[: len(spelt) // 4 * 4 + 1]}",
    }
    dashed = next(text for text in (part(claims + " " * n) for n in range(3)) if set("-_") & set(text))
    tokens["the standard alphabet"] = f"{header}.{dashed.replace('-', '+').replace('_', '/')}"
    return _reasoned("malformed", {name: valid.signed(text) for name, text in tokens.items()})


def _json(valid: Valid) -> dict[str, Hostile]:
    claims, header = json.dumps(valid.claims), json.dumps(valid.header)
    inner, opening = claims[1:-1], '{"a":'
    bodies: dict[str, str | bytes] = {
        "iss twice": f'{{"iss":"somebody",{inner}}}',
        "exp twice": f'{{{inner},"exp":9999999999,"exp":9999999999}}',
        "a member twice, far below": f'{{{inner},"deep":[{{"a":1,"a":2}}]}}',
        "claims are a list": f"[{claims}]",
        "claims are text": json.dumps(claims),
        "claims are a number": "1",
        "claims are null": "null",
        "claims are true": "true",
        "claims are cut off": claims[:-1],
        "more after the claims": f"{claims}{{}}",
        "a comment": f"/* */{claims}",
        "single quotes": claims.replace('"', "'"),
        "a comma too many": f"{{{inner},}}",
        "NaN": f'{{{inner},"n":NaN}}',
        "Infinity": f'{{{inner},"n":[Infinity]}}',
        "minus Infinity": f'{{{inner},"n":-Infinity}}',
        "a number of 4,500 digits": f'{{{inner},"n":{"9" * 4500}}}',
        "half a surrogate pair": f'{{{inner},"n":"\\ud800"}}',
        "half a surrogate pair as a name": f'{{{inner},"\\uDC00":1}}',
        "no UTF-8": claims.encode() + b"\xff",
        "overlong UTF-8": f'{{{inner},"n":"'.encode() + b'\xc0\xaf"}',
        "a surrogate as UTF-8": f'{{{inner},"n":"'.encode() + b'\xed\xa0\x80"}',
        "a byte order mark": b"\xef\xbb\xbf" + claims.encode(),
        "UTF-16": claims.encode("utf-16"),
        "UTF-32": claims.encode("utf-32")[:3000],
        "a control character": f'{{{inner},"n":"\t"}}',
        "nested 40 lists deep": f'{{{inner},"n":{"[" * 40}{"]" * 40}}}',
        "nested 2,500 lists deep": f'{{{inner},"n":{"[" * 2500}{"]" * 2500}}}',
        "nested 10,000 lists deep": f'{{{inner},"n":{"[" * 10_000}{"]" * 10_000}}}',
        "nested 1,200 objects deep": f'{{{inner},"n":{opening * 1200}1{"}" * 1200}}}',
        "100 kB": f'{{{inner},"n":"{"x" * 100_000}"}}',
        "just too long": f'{{{inner},"n":"{"x" * 6000}"}}',
    }
    tokens = {name: valid.token(claims=body) for name, body in bodies.items()}
    heads = {
        "alg twice": f'{{"alg":"none",{header[1:]}',
        "kid twice": f'{{"kid":"somebody",{header[1:]}',
        "header is a list": f"[{header}]",
        "header is text": json.dumps(header),
        "header is null": "null",
        "header nested": f'{header[:-1]},"n":{"[" * 2000}{"]" * 2000}}}',
    }
    tokens |= {name: valid.token(header=body) for name, body in heads.items()}
    return _reasoned("malformed", tokens)


def _claims(valid: Valid) -> dict[str, Hostile]:
    now = valid.claims["iat"]
    no_times: Values = (str(now + 60), True, -1, now + 60.5, None, [now], {"at": now}, 2**63, 10**100, 253_402_300_800)
    lifetime = {f"exp {value!r:.30}": valid.says(exp=value) for value in no_times}
    lifetime |= {f"iat {value!r:.30}": valid.says(iat=value) for value in (str(now), True, -1, now + 0.5, None, [now])}
    lifetime |= {f"nbf {value!r:.30}": valid.says(nbf=value) for value in (str(now), True, now - 0.5, None)}
    lifetime["exp 1e999"] = valid.token(claims=json.dumps({**valid.claims, "exp": 0.25}).replace("0.25", "1e999"))
    lifetime |= {"exp at iat": valid.says(exp=now), "exp before iat": valid.says(exp=now - 60)}
    later = {"iat in 1 h": valid.says(iat=now + 3600, exp=now + 7200), "nbf in 1 h": valid.says(nbf=now + 3600)}
    iss = valid.claims["iss"]
    others: Values = ("somebody", "", None, [iss], {"is": iss}, 1, True)
    others = (*others, iss.upper(), f"{iss} ", f"https://{iss}", f"{iss}\0")
    issuers = {f"iss {value!r}": valid.says(iss=value) for value in others}
    issuers["iss missing"] = valid.without("iss")
    audiences = {f"aud {value!r}": valid.says(aud=value) for value in READERS}
    audiences["aud missing"] = valid.without("aud")
    made = _reasoned("lifetime", lifetime) | _reasoned("not_yet", later)
    made |= _reasoned("issuer", issuers) | _reasoned("audience", audiences)
    return made | _reasoned("expired", {"over": valid.says(iat=now - 9000, exp=now - 8000)})


def hostile_device_claims(valid: Valid) -> dict[str, Hostile]:
    """List claims that a device's JWT must not have, if a nonce is required."""
    now = valid.claims["iat"]
    nonce = {f"nonce {value!r:.30}": valid.says(nonce=value) for value in NONCES}
    nonce["nonce missing"] = valid.without("nonce")
    only_exp = {name: value for name, value in valid.claims.items() if name != "iat"}
    long = {
        "lasts a day and a second": valid.says(exp=now + 86_401),
        "lasts a year": valid.says(exp=now + 365 * 86_400),
        "no iat, a year": valid.token(claims={**only_exp, "exp": now + 365 * 86_400}),
    }
    others = {
        "aud has another beside": valid.says(aud=["plex.tv", "somebody"]),
        "aud twice": valid.says(aud=["plex.tv"] * 2),
    }
    scopes = {f"scope {value!r}": valid.says(scope=value) for value in SCOPES}
    made = _reasoned("nonce", nonce) | _reasoned("lifetime", long) | _reasoned("audience", others)
    return made | _reasoned("malformed", scopes)


def hostile_plex_claims(valid: Valid) -> dict[str, Hostile]:
    """List claims that Plex's own JWT must not have."""
    times = {f"{name} missing": valid.without(name) for name in ("iat", "exp")}
    prints = {f"thumbprint {value!r}": valid.says(thumbprint=value) for value in THUMBPRINTS}
    prints["thumbprint missing"] = valid.without("thumbprint")
    others = {
        "aud is the client alone": valid.says(aud=["demo-client-7c1f"]),
        "aud is the client": valid.says(aud="demo-client-7c1f"),
    }
    made = _reasoned("lifetime", times) | _reasoned("thumbprint", prints) | _reasoned("audience", others)
    return made | _reasoned("header", {"typ missing": valid.headless("typ")})
