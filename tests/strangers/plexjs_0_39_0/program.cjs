// @lukehagar/plexjs 0.39.0 as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out; `how` is `method` (a method of PlexAPI) or
// `function` (a standalone function on PlexAPICore). This release has read the answer to the two calls to a media
// server and thrown it away (`rawResponse.text()` says so), so `result` holds only what is left of it.
// Where no address of plex.tv is given (`plex_tv` is null), the SDK's own default is left as it is.
"use strict";

const readline = require("node:readline");
const { PlexAPI } = require("@lukehagar/plexjs");
const { PlexAPICore } = require("@lukehagar/plexjs/core.js");
const { PlexAPIError } = require("@lukehagar/plexjs/sdk/models/errors/plexapierror.js");
const operations = require("@lukehagar/plexjs/sdk/models/operations");

const IDENTIFIER = "stranger-plexjs-0-39-0";

// The method's group and name, the standalone function, and the arguments both take.
function prepared(ask) {
  const onPlexTv = ask.plex_tv ? { serverURL: `${ask.plex_tv}/api/v2` } : {};
  switch (ask.call) {
    case "sign_in": {
      const form = { login: ask.login, password: ask.password };
      if (ask.verification_code !== undefined) form.verificationCode = ask.verification_code;
      if (ask.remember_me !== undefined) form.rememberMe = ask.remember_me;
      const request = { clientID: IDENTIFIER, clientName: "Stranger", requestBody: form };
      return ["authentication", "postUsersSignInData", [request, onPlexTv]];
    }
    case "token_details":
      return ["authentication", "getTokenDetails", [onPlexTv]];
    case "transient_token": {
      const kind = operations.GetTransientTokenQueryParamType.Delegation;
      return ["authentication", "getTransientToken", [kind, operations.Scope.All]];
    }
    case "source":
      return ["authentication", "getSourceConnectionInformation", [ask.source]];
    case "resources":
      return ["plex", "getServerResources", [IDENTIFIER, ask.https ? operations.IncludeHttps.Enable : undefined, undefined, undefined, onPlexTv]];
  }
  throw new Error(`no such call: ${ask.call}`);
}

async function called(ask) {
  const [group, method, args] = prepared(ask);
  const options = { accessToken: ask.token, serverURL: ask.server };
  if (ask.how === "method") return new PlexAPI(options)[group][method](...args);
  const name = `${group}${method[0].toUpperCase()}${method.slice(1)}`;
  const standalone = require(`@lukehagar/plexjs/funcs/${name}.js`)[name];
  const outcome = await standalone(new PlexAPICore(options), ...args);
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

async function read(call, result) {
  switch (call) {
    case "sign_in":
    case "token_details": {
      const account = result.userPlexAccount;
      return { username: account.username, email: account.email, id: account.id, token: account.authToken };
    }
    case "resources":
      return {
        servers: Object.fromEntries(result.plexDevices.map((one) => [one.name, one.accessToken])),
        addresses: Object.fromEntries(result.plexDevices.map((one) => [one.name, one.connections.map((each) => each.uri)])),
      };
    default:
      return { keys: Object.keys(result).sort(), text: await result.rawResponse.text().catch(String) };
  }
}

async function outcome(ask) {
  try {
    const result = await called(ask);
    return { status: result.statusCode, result: await read(ask.call, result) };
  } catch (error) {
    if (!(error instanceof PlexAPIError)) return { raised: error.constructor.name, message: String(error) };
    const codes = (error.errors ?? []).map((one) => one.code);
    return { raised: error.constructor.name, status: error.statusCode, body: error.body, codes };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(JSON.parse(line))));
  }
}

main();
