"""Tolerant reading: every known variant of the account's body yields an account, and its token where there is one."""

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
    """Compare the fields that the variant is about, and the names of what could not be read."""
    for path, expected in variant.read.items():
        actual: object = account
        for name in path.split("."):
            actual = getattr(actual, name)
        assert expected == actual, path
    assert sorted(variant.problems) == sorted(account.problems)


@every("name", list(ACCOUNT))
def test_account(name: str) -> None:
    """A variant of the account's body yields an account with everything in it that can be read."""
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
    """What is announced does not matter, and what is spoilt does not cost the rest."""
    account = read(variant)
    assert "3f9c2b7a5d1e8f04" == account.uuid
    check(account, variant)


def test_count_beside_the_sdks() -> None:
    """All of the 47 variants are read; of 47 of the same kinds the Python SDK read 29 and the JavaScript one 7."""
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
    """The outermost record names every problem by its path; nothing of the value itself is kept."""
    account = read(FORM["services with one that is spoilt"])
    assert ("services[0]", "services[1].token") == account.problems
    assert [("epg", "5", None)] == [(s.identifier, s.status, s.token) for s in account.services]


def test_no_account_at_all() -> None:
    """A body that holds neither id, uuid nor token is no account."""
    for body in (b'{"username":"x"}', b"<user/>"):
        with pytest.raises(MalformedReply, match="contains no Account"):
            GetTokenDetails().read(Response(200, {}, body))


def test_sign_in_without_token() -> None:
    """A sign-in's answer without a token is no answer, whatever else it holds."""
    with pytest.raises(MalformedReply, match="contains no Account"):
        PostUsersSignInData.from_text("a", "b").read(Response(201, {}, b'{"id":10500123,"authToken":null}'))
