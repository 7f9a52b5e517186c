"""One Hypothesis strategy a record and a call, made from their types.

Rule: what XML cannot carry is left out of texts (control characters, half surrogate pairs), and so is the empty text,
which XML cannot tell from null; times have whole seconds, in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import inspect

from ticketstub import models
from ticketstub.tokens import Secret, Token

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=20)
TOKENS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=20, max_size=20)
MOMENTS = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001  # bounds are naive by hypothesis' rule
    datetime(2099, 1, 1),  # noqa: DTZ001  # as above
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
WHOLE = st.integers(0, 2**53 - 1)

_SCALARS: dict[type[inspect.Type], SearchStrategy] = {
    inspect.BoolType: st.booleans(),
    inspect.IntType: WHOLE,
    inspect.StrType: TEXTS,
    inspect.DateTimeType: MOMENTS,
    inspect.NoneType: st.none(),
}


def _values(info: inspect.Type) -> SearchStrategy:
    if isinstance(info, inspect.UnionType):
        return st.one_of(*map(_values, info.types))
    if isinstance(info, inspect.StructType):
        return of(info.cls)
    if isinstance(info, inspect.VarTupleType):
        return st.lists(_values(info.item_type), max_size=3).map(tuple)
    if isinstance(info, inspect.CustomType):
        return TOKENS.map(Token.from_wire) if info.cls is Token else TEXTS.map(Secret)
    if isinstance(info, inspect.IntType) and info.lt is not None:  # seconds since 1970
        return st.integers(0, int(info.lt) - 1)
    return _SCALARS[type(info)]


@cache
def of(kind: type[msgspec.Struct]) -> SearchStrategy:
    """Make records of this class; what makes the answer recognisable is always there."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    always = _ALWAYS.get(kind, {})
    return st.builds(kind, **{field.name: always.get(field.name, _values(field.type)) for field in info.fields})


_ALWAYS: dict[type, dict[str, SearchStrategy]] = {
    models.Account: {"id": WHOLE, "auth_token": TOKENS.map(Token.from_wire)},
    models.Connection: {"uri": TEXTS},
    models.Identity: {"machine_identifier": TEXTS},
    models.Resource: {"client_identifier": TEXTS},
    models.ServerInformation: {"machine_identifier": TEXTS},
    models.TransientToken: {"token": TOKENS.map(Token.from_wire)},
    models.Source: {"access_token": TOKENS.map(Token.from_wire)},
}

BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=100).map(lambda text: b"\xef\xbb\xbf" + text.encode("utf-16", "surrogatepass")),
)
"""Arbitrary bytes, texts and texts in the wrong encoding."""

_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
"""Any JSON value, with NaN and huge numbers among them."""


def odd(kind: type[models.Model]) -> SearchStrategy:
    """Make JSON objects that have a record's names and any values at all."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    return st.dictionaries(st.sampled_from(names), JSON, min_size=1, max_size=6)
