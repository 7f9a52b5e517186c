// An application that signs people in with openid-client, as its documentation shows it. Logout tokens are checked with
// jose, which openid-client itself builds on.
"use strict";

const http = require("node:http");

const { PARTY_ISSUER: ISSUER, PARTY_CLIENT_ID: ID, PARTY_CLIENT_SECRET: SECRET, PARTY_URL: URL_HERE } = process.env;
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";
const SCOPE = "openid profile email groups offline_access";

async function main() {
  const client = await import("openid-client");
  const jose = await import("jose");
  const config = await client.discovery(new URL(ISSUER), ID, undefined, client.ClientSecretBasic(SECRET));
  const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
  let session = null; // of one person: this is a test
  let begun = null;

  const pages = {
    "/": async () => JSON.stringify({
      claims: session && session.claims, userinfo: session && session.userinfo, refreshed: session && session.refreshed,
    }),
    "/login": async () => {
      begun = {
        pkceCodeVerifier: client.randomPKCECodeVerifier(),
        expectedState: client.randomState(),
        expectedNonce: client.randomNonce(),
        idTokenExpected: true,
      };
      return client.buildAuthorizationUrl(config, {
        redirect_uri: `${URL_HERE}/callback`,
        scope: SCOPE,
        code_challenge: await client.calculatePKCECodeChallenge(begun.pkceCodeVerifier),
        code_challenge_method: "S256",
        state: begun.expectedState,
        nonce: begun.expectedNonce,
      });
    },
    "/callback": async (url) => {
      const tokens = await client.authorizationCodeGrant(config, url, begun);
      const claims = tokens.claims();
      const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
      session = { tokens, claims, userinfo, refreshed: 0 };
      return new URL("/", URL_HERE);
    },
    "/refresh": async () => {
      const old = session.tokens;
      const tokens = await client.refreshTokenGrant(config, old.refresh_token);
      if (tokens.access_token === old.access_token || tokens.refresh_token === old.refresh_token) throw new Error("same");
      const userinfo = await client.fetchUserInfo(config, tokens.access_token, session.claims.sub);
      session = { ...session, tokens, userinfo, refreshed: session.refreshed + 1 };
      return new URL("/", URL_HERE);
    },
    "/revoke": async () => {
      await client.tokenRevocation(config, session.tokens.access_token);
      await client.fetchUserInfo(config, session.tokens.access_token, session.claims.sub);
      return "still good";
    },
    "/logout": async () => {
      const parameters = { post_logout_redirect_uri: `${URL_HERE}/signed-out`, id_token_hint: session.tokens.id_token };
      session = null;
      return client.buildEndSessionUrl(config, { ...parameters, state: "s1" });
    },
    "/signed-out": async (url) => JSON.stringify({ signed_out: url.searchParams.get("state") }),
    "/back-channel": async (_url, form) => {
      const { payload } = await jose.jwtVerify(form.get("logout_token"), keys, {
        issuer: ISSUER, audience: ID, typ: "logout+jwt", requiredClaims: ["iat", "exp", "jti", "events"],
      });
      if (!payload.events[LOGOUT_EVENT] || "nonce" in payload) throw new Error("no logout token");
      if (session && payload.sid === session.claims.sid) session = null;
      return "";
    },
  };

  http.createServer(async (request, response) => {
    const url = new URL(request.url, URL_HERE);
    let body = "";
    for await (const chunk of request) body += chunk;
    try {
      const answer = await pages[url.pathname](url, new URLSearchParams(body));
      if (answer instanceof URL) response.writeHead(303, { Location: answer.href }).end();
      else response.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": "no-store" }).end(answer);
    } catch (error) {
      console.error(error);
      response.writeHead(400, { "Content-Type": "text/plain" }).end(JSON.stringify({ error: error.name, cause: error.code }));
    }
  }).listen(Number(process.env.PARTY_PORT), "127.0.0.1");
}

main().catch((error) => { console.error(error); process.exit(1); });
