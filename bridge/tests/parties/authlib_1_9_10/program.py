"""An application that signs people in with Authlib's client for Flask, as its documentation shows it.

Back-channel logout, which Authlib's client leaves to the application, is checked with joserfc.
"""

import json
import os
import secrets
import time

import requests
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, redirect, request, url_for
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER, CLIENT_ID, URL = (os.environ[f"PARTY_{name}"] for name in ("ISSUER", "CLIENT_ID", "URL"))
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
oauth = OAuth(app)
oauth.register(
    "bridge",
    client_id=CLIENT_ID,
    client_secret=os.environ["PARTY_CLIENT_SECRET"],
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email groups offline_access", "code_challenge_method": "S256"},
)
session: dict[str, object] = {}  # of one person: this is a test


@app.get("/")
def show() -> Response:
    """Show who is signed in."""
    shown = {name: session.get(name) for name in ("claims", "userinfo", "refreshed")}
    return Response(json.dumps(shown), mimetype="text/plain")


@app.get("/login")
def log_in() -> Response:
    """Send the browser to the provider."""
    return oauth.bridge.authorize_redirect(f"{URL}/callback")


@app.get("/callback")
def finish() -> Response:
    """Exchange the code, check the ID token, and ask for the claims."""
    token = oauth.bridge.authorize_access_token()
    session.update(token=token, claims=token["userinfo"], userinfo=oauth.bridge.userinfo(token=token), refreshed=0)
    return redirect(url_for("show"))


@app.get("/refresh")
def refresh() -> Response:
    """Get new tokens, and ask for the claims again."""
    old = session["token"]
    token = oauth.bridge.fetch_access_token(grant_type="refresh_token", refresh_token=old["refresh_token"])
    assert token["access_token"] != old["access_token"]
    assert token["refresh_token"] != old["refresh_token"]
    session.update(token=token, userinfo=oauth.bridge.userinfo(token=token), refreshed=session["refreshed"] + 1)
    return redirect(url_for("show"))


@app.get("/logout")
def log_out() -> Response:
    """Sign out here and at the provider."""
    token = session["token"]
    session.clear()
    metadata = oauth.bridge.load_server_metadata()
    parameters = {"id_token_hint": token["id_token"], "post_logout_redirect_uri": f"{URL}/signed-out", "state": "s1"}
    return redirect(requests.Request("GET", metadata["end_session_endpoint"], params=parameters).prepare().url)


@app.get("/signed-out")
def show_signed_out() -> Response:
    """Show what came back."""
    return Response(json.dumps({"signed_out": request.args.get("state")}), mimetype="text/plain")


@app.post("/back-channel")
def log_out_by_back_channel() -> Response:
    """Take a logout token (OpenID Connect Back-Channel Logout, 2.6)."""
    keys = KeySet.import_key_set(requests.get(oauth.bridge.load_server_metadata()["jwks_uri"], timeout=10).json())
    token = jwt.decode(request.form["logout_token"], keys, algorithms=["RS256"])
    rules = jwt.JWTClaimsRegistry(
        now=lambda: int(time.time()),
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": CLIENT_ID},
        jti={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    rules.validate(token.claims)
    assert token.claims["events"] == {LOGOUT_EVENT: {}}
    assert "nonce" not in token.claims
    if session and token.claims["sid"] == session["claims"]["sid"]:
        session.clear()
    return Response(status=200, headers={"Cache-Control": "no-store"})


app.run("127.0.0.1", int(os.environ["PARTY_PORT"]))
