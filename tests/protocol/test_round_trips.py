"""What one end writes, the other end reads: models in both formats, calls as parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.examples import examples
from ticketstub.messages import Response
from ticketstub.models import Account, Identity, Resource, ServerInformation, Source, TransientToken
from ticketstub.protocol.account import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.protocol.call import Call, read_call
from ticketstub.protocol.codec import Format
from ticketstub.protocol.media_server import (
    GetIdentity,
    GetServerInformation,
    GetSourceConnectionInformation,
    GetTransientToken,
    TransientTokenScope,
    TransientTokenType,
)
from ticketstub.protocol.resource import GetResources

ROUND = examples(15)

RECORDS: dict[str, tuple[Call[Any], st.SearchStrategy]] = {
    "account": (GetTokenDetails(), strategies.of(Account)),
    "sign-in": (PostUsersSignInData.from_text("a", "b"), strategies.of(Account)),
    "identity": (GetIdentity(), strategies.of(Identity)),
    "information": (GetServerInformation(), strategies.of(ServerInformation)),
    "transient": (
        GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL),
        strategies.of(TransientToken),
    ),
    "source": (GetSourceConnectionInformation(source="server://x"), strategies.of(Source)),
    "resources": (GetResources(), st.lists(strategies.of(Resource), max_size=3).map(tuple)),
    "ping": (Ping(), st.just(True)),  # noqa: FBT003  # the value itself
}


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
@ROUND
def test_records(name: str, form: Format, data: st.DataObject) -> None:
    """Every model that one end writes, in JSON or XML, is read back the same, without problems."""
    call, values = RECORDS[name]
    expected = data.draw(values)
    actual = call.read(Response(call.http.status, {}, call.write(expected, form)))
    assert expected == actual
    assert () == getattr(actual, "problems", ())


CALLS: dict[type[Call[Any]], st.SearchStrategy] = {
    PostUsersSignInData: st.builds(
        PostUsersSignInData.from_text,
        strategies.TEXTS,
        strategies.TEXTS,
        st.none() | strategies.TEXTS,
        remember_me=st.booleans(),
    ),
    GetResources: st.builds(GetResources, include_https=st.booleans(), include_ipv6=st.booleans()),
    GetSourceConnectionInformation: st.builds(
        GetSourceConnectionInformation,
        source=strategies.TEXTS.map("server://{}".format) | strategies.TEXTS.map("provider://{}".format),
        refresh=st.booleans(),
    ),
}


@pytest.mark.parametrize("kind", CALLS)
@given(data=st.data())
@ROUND
def test_calls(kind: type[Call[Any]], data: st.DataObject) -> None:
    """Every call is read back from the query or form that it writes."""
    from urllib.parse import parse_qsl, urlsplit

    expected = data.draw(CALLS[kind])
    written = expected.build_body()[0].decode() if kind.http.in_body else urlsplit(expected.build_target()).query
    assert expected == read_call(kind, dict(parse_qsl(written)))
