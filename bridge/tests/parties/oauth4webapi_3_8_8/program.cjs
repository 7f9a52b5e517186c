// A public application, without a secret, that signs people in with oauth4webapi, as its documentation shows it. It reads
// the provider's document of RFC 8414. Logout tokens are checked with jose.
"use strict";

const http = require("node:http");

const { PARTY_ISSUER: ISSUER, PARTY_CLIENT_ID: ID, PARTY_URL: URL_HERE } = process.env;
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";
const SCOPE = "openid profile email groups offline_access";

async function main() {
  const oauth = await import("oauth4webapi");
  const jose = await import("jose");
  const issuer = new URL(ISSUER);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2" }));
  const client = { client_id: ID };
  const authentication = oauth.None();
  const keys = jose.createRemoteJWKSet(new URL(server.jwks_uri));
  let session = null; // of one person: this is a test
  let begun = null;

  async function askUserinfo(tokens, sub) {
    const response = await oauth.userInfoRequest(server, client, tokens.access_token);
    return oauth.processUserInfoResponse(server, client, sub, response);
  }

  const pages = {
    "/": async () => JSON.stringify({
      claims: session && session.claims, userinfo: session && session.userinfo, refreshed: session && session.refreshed,
    }),
    "/login": async () => {
      begun = {
        verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(),
      };
      const url = new URL(server.authorization_endpoint);
      url.search = new URLSearchParams({
        client_id: ID,
        redirect_uri: `${URL_HERE}/callback`,
        response_type: "code",
        scope: SCOPE,
        code_challenge: await oauth.calculatePKCECodeChallenge(begun.verifier),
        code_challenge_method: "S256",
        state: begun.state,
        nonce: begun.nonce,
      });
      return url;
    },
    "/callback": async (url) => {
      const parameters = oauth.validateAuthResponse(server, client, url, begun.state);
      const response = await oauth.authorizationCodeGrantRequest(
        server, client, authentication, parameters, `${URL_HERE}/callback`, begun.verifier,
      );
      const checks = { expectedNonce: begun.nonce, requireIdToken: true };
      const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, checks);
      await oauth.validateApplicationLevelSignature(server, response);
      const claims = oauth.getValidatedIdTokenClaims(tokens);
      session = { tokens, claims, userinfo: await askUserinfo(tokens, claims.sub), refreshed: 0 };
      return new URL("/", URL_HERE);
    },
    "/refresh": async () => {
      const old = session.tokens;
      const response = await oauth.refreshTokenGrantRequest(server, client, authentication, old.refresh_token);
      const tokens = await oauth.processRefreshTokenResponse(server, client, response);
      if (tokens.access_token === old.access_token || tokens.refresh_token === old.refresh_token) throw new Error("same");
      const userinfo = await askUserinfo(tokens, session.claims.sub);
      session = { ...session, tokens, userinfo, refreshed: session.refreshed + 1 };
      return new URL("/", URL_HERE);
    },
    "/revoke": async () => {
      const response = await oauth.revocationRequest(server, client, authentication, session.tokens.access_token);
      await oauth.processRevocationResponse(response);
      await askUserinfo(session.tokens, session.claims.sub);
      return "still good";
    },
    "/logout": async () => {
      const url = new URL(server.end_session_endpoint);
      url.search = new URLSearchParams({
        post_logout_redirect_uri: `${URL_HERE}/signed-out`, id_token_hint: session.tokens.id_token, state: "s1",
      });
      session = null;
      return url;
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
