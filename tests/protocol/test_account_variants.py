"""Lenient reading: every known variant of the account's body is read as an account, with its token if it has one."""

from __future__ import annotations

import pytest

from tests.protocol.account_variants import (
    ACCOUNT,
    COUNT,
    FORM,
    READ_BY_JAVASCRIPT_SDK,
    READ_BY_PYTHON_SDK,
    SIGN_IN,
    Variant,
)
from tests.tables import every
from ticketstub.errors import MalformedReply
from ticketstub.messages import Response
from ticketstub.models import Account
from ticketstub.protocol.account import GetTokenDetails, PostUsersSignInData
from ticketstub.tokens import Token

TOKEN = Token("Xk3mPz_9Q-vT7rLb2NfW")


def read(variant: Variant) -> Account:
    return GetTokenDetails().read(Response(variant.status, variant.headers, variant.body))


def check(account: Account, variant: Variant) -> None:
    """Compare the fields that the variant is about, and the names of unreadable values."""
    for path, expected in variant.read.items():
        actual: object = account
        for name in path.split("."):
            actual = getattr(actual, name)
        assert expected == actual, path
    assert sorted(variant.problems) == sorted(account.problems)


@every("name", list(ACCOUNT))
def test_account(name: str) -> None:
    """A variant of the account's body is read as an account with every readable value."""
    variant = ACCOUNT[name]
    account = read(variant)
    check(account, variant)
    untouched = {"id", "uuid", "title", "auth_token"} - variant.read.keys()
    if name != "managed user":
        full = read(ACCOUNT["as it is"])
        assert {field: getattr(full, field) for field in untouched} == {
            field: getattr(account, field) for field in untouched
        }


@every("variant", SIGN_IN)
def test_sign_in(variant: Variant) -> None:
    """A variant of a sign-in's body yields the token, whatever else is wrong with it."""
    response = Response(variant.status, variant.headers, variant.body)
    account = PostUsersSignInData.from_text("mira_quill", "hunter2").read(response)
    assert TOKEN == account.auth_token
    check(account, variant)


@every("variant", FORM)
def test_form(variant: Variant) -> None:
    """The announced format does not matter, and damaged parts do not affect the rest."""
    account = read(variant)
    assert "3f9c2b7a5d1e8f04" == account.uuid
    check(account, variant)


def test_count_beside_the_sdks() -> None:
    """All 47 variants are read. Of 47 of the same kinds, the Python SDK read 29 and the JavaScript SDK 7."""
    passed = 0
    for variant in ACCOUNT.values():
        try:
            read(variant)
            passed += 1
        except MalformedReply:
            continue
    assert (COUNT, COUNT) == (len(ACCOUNT), passed)
    assert READ_BY_JAVASCRIPT_SDK < READ_BY_PYTHON_SDK < passed


def test_a_problem_deep_inside_is_named_where_it_is() -> None:
    """The outermost model names every problem by its path, without the value itself."""
    account = read(FORM["services with one that is spoilt"])
    assert ("services[0]", "services[1].token") == account.problems
    assert [("epg", "5", None)] == [(s.identifier, s.status, s.token) for s in account.services]


def test_no_account_at_all() -> None:
    """A body without id, uuid and token is not an account."""
    for body in (b'{"username":"x"}', b"<user/>"):
        with pytest.raises(MalformedReply, match="contains no Account"):
            GetTokenDetails().read(Response(200, {}, body))


def test_sign_in_without_token() -> None:
    """A sign-in reply without a token is malformed, whatever else it contains."""
    with pytest.raises(MalformedReply, match="contains no Account"):
        PostUsersSignInData.from_text("a", "b").read(Response(201, {}, b'{"id":10500123,"authToken":null}'))
