"""plex-api-client 0.36.3: the documented snippets of the four operations, sync and async, with one changed import."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compat.calling import WAYS, ask
from tests.server.asking import ATTIC, MIRA, PASSWORDS
from ticketstub.compat.plex_api_client import PlexAPI
from ticketstub.compat.plex_api_client.models import components, operations


def test_token_details_snippet(plex_tv: str) -> None:
    """The snippet of get_token_details."""
    with PlexAPI(
        accepts=components.Accepts.APPLICATION_XML,
        client_identifier="abc123",
        product="Plex for Roku",
        version="2.4.1",
        platform="Roku",
        platform_version="4.3 build 1057",
        device="Roku 3",
        model="4200X",
        device_vendor="Roku",
        device_name="Living Room TV",
        marketplace="googlePlay",
        token=MIRA,
    ) as plex_api:
        res = plex_api.authentication.get_token_details(request={}, server_url=plex_tv)

        assert res.user_plex_account is not None

    assert (10500123, MIRA) == (res.user_plex_account.id, res.user_plex_account.auth_token)


def test_sign_in_snippet(plex_tv: str) -> None:
    """The snippet of post_users_sign_in_data, which needs no token."""
    with PlexAPI(client_identifier="abc123") as plex_api:
        res = plex_api.authentication.post_users_sign_in_data(
            request=operations.PostUsersSignInDataRequest(
                request_body=operations.PostUsersSignInDataRequestBody(
                    login="tom@example.test", password=PASSWORDS["tom"], remember_me=False
                )
            ),
            server_url=plex_tv,
        )

        assert res.user_plex_account is not None

    account = res.user_plex_account
    assert (201, "tom", []) == (res.status_code, account.username, account.past_subscriptions)
    assert (20, str) == (len(account.auth_token or ""), type(account.auth_token))


def test_transient_token_snippet(attic: str) -> None:
    """The snippet of create_transient_token."""
    with PlexAPI(client_identifier="abc123", token=MIRA, server_url=attic) as plex_api:
        res = plex_api.general.create_transient_token(
            request=operations.CreateTransientTokenRequest(
                media_type=operations.QueryParamType.DELEGATION, scope=operations.Scope.ALL
            )
        )

        assert res.object is not None

    container: Any = res.object.media_container
    assert (0, None, "transient-") == (container.size, container.offset, container.token[:10])


def test_source_snippet(attic: str) -> None:
    """The snippet of get_source_connection_information."""
    with PlexAPI(client_identifier="abc123", token=MIRA, server_url=attic) as plex_api:
        res = plex_api.general.get_source_connection_information(
            request=operations.GetSourceConnectionInformationRequest(
                source=f"server://{ATTIC}", refresh=components.BoolInt.TRUE
            )
        )

        assert res.object is not None

    device: Any = res.object.media_container and res.object.media_container.device
    assert (ATTIC, "Attic (mira_quill)", "transient-") == (
        device.client_identifier,
        device.name,
        device.access_token[:10],
    )
    assert [(32400, True, None), (8443, False, True)] == [(one.port, one.local, one.relay) for one in device.connection]


def test_async_snippet(attic: str, plex_tv: str) -> None:
    """The asynchronous snippet: `async with`, and the four `_async` twins, several at once."""

    async def main() -> Any:
        async with PlexAPI(client_identifier="abc123", token=MIRA, server_url=attic) as plex_api:
            form = {"login": "mira_quill", "password": PASSWORDS["mira_quill"]}
            return await asyncio.gather(
                plex_api.general.create_transient_token_async(request={"media_type": "delegation", "scope": "all"}),
                plex_api.general.get_source_connection_information_async(request={"source": f"server://{ATTIC}"}),
                plex_api.authentication.get_token_details_async(request={}, server_url=plex_tv),
                plex_api.authentication.post_users_sign_in_data_async(
                    request={"request_body": form}, server_url=plex_tv
                ),
            )

    token, source, details, signed_in = asyncio.run(main())
    assert "transient-" == token.object.media_container.token[:10]
    assert ATTIC == source.object.media_container.device.client_identifier
    assert "mira_quill" == details.user_plex_account.username == signed_in.user_plex_account.username


@pytest.mark.parametrize("way", WAYS)
def test_requests_may_be_mappings_with_either_name(way: str, attic: str) -> None:
    """A request is a class, or a mapping with its names or the wire's, such as 0.33's `type`."""
    arguments = {"token": MIRA, "server_url": attic}
    for request in ({"media_type": "delegation", "scope": "all"}, {"type": "delegation", "scope": "all"}):
        assert 200 == ask(way, arguments, "general", "create_transient_token", request=request).status_code
        assert 200 == ask(way, arguments, "general", "get_transient_token", request=request).status_code


@pytest.mark.parametrize("request_", [{}, {"source": "x", "sauce": "y"}, None, "server://x"])
def test_wrong_requests_are_found_before_anything_is_sent(request_: Any) -> None:
    """What is missing or unknown in a request is a TypeError."""
    with PlexAPI(token=MIRA, server_url="http://192.0.2.7:32400") as plex_api, pytest.raises(TypeError):
        plex_api.general.get_source_connection_information(request=request_)


def test_wrong_values_are_found_before_anything_is_sent() -> None:
    """An unknown type or scope and a source without its prefix are ValueErrors."""
    with PlexAPI(token=MIRA, server_url="http://192.0.2.7:32400") as plex_api:
        with pytest.raises(ValueError, match="other"):
            plex_api.general.create_transient_token(request={"media_type": "other", "scope": "all"})
        with pytest.raises(ValueError, match="server://"):
            plex_api.general.get_source_connection_information(request={"source": ATTIC})


def test_account_has_the_release_s_attributes(plex_tv: str) -> None:
    """The account and what is in it have the release's names and plain values, and nothing of ours besides."""
    with PlexAPI(token=MIRA) as plex_api:
        account: Any = plex_api.authentication.get_token_details(request={}, server_url=plex_tv).user_plex_account
    assert ("NL", 1552593531, True) == (account.country, account.joined_at, account.has_password)
    assert ["home", "two-factor-authentication"] == account.subscription.features
    assert {bool, type(None)} >= {type(account.profile.auto_select_audio)}
    assert [] == account.roles
    assert not hasattr(account, "problems")
    assert not hasattr(account, "past_subscriptions")
    assert "<UserPlexAccount>" == repr(account)
    assert account == account  # noqa: PLR0124  # two readings of one answer are equal
