// @lukehagar/plexjs 0.35.1, the release of the JavaScript page, as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out; `how` is `method` (a method of PlexAPI) or
// `function` (a standalone function on PlexAPICore, whose result value is either `ok` or holds the error). `options`
// go to the call as they are, `at_once` makes it so many times at once on one instance. This release has read the answer
// to the two calls to a media server and thrown it away, so `result` holds only what is left of it.
// Where no address of plex.tv is given (`plex_tv` is null), the SDK's own default is left as it is.
"use strict";

const readline = require("node:readline");
const { PlexAPI } = require("@lukehagar/plexjs");
const { PlexAPICore } = require("@lukehagar/plexjs/core.js");
const { SDKError } = require("@lukehagar/plexjs/sdk/models/errors/sdkerror.js");
const operations = require("@lukehagar/plexjs/sdk/models/operations");

const IDENTIFIER = "stranger-plexjs-0-35-1";

// The method's group and name, and the arguments that it and its standalone function take, without the options.
function prepared(ask) {
  switch (ask.call) {
    case "sign_in": {
      const form = { login: ask.login, password: ask.password };
      if (ask.verification_code !== undefined) form.verificationCode = ask.verification_code;
      if (ask.remember_me !== undefined) form.rememberMe = ask.remember_me;
      const request = { clientID: IDENTIFIER, ...ask.device, requestBody: form };
      return ["authentication", "postUsersSignInData", [request]];
    }
    case "token_details":
      return ["authentication", "getTokenDetails", []];
    case "transient_token": {
      const kind = operations.GetTransientTokenQueryParamType.Delegation;
      return ["authentication", "getTransientToken", [kind, operations.Scope.All]];
    }
    case "source":
      return ["authentication", "getSourceConnectionInformation", [ask.source]];
    case "resources":
      return ["plex", "getServerResources", [IDENTIFIER, ask.https ? operations.IncludeHttps.Enable : undefined, undefined, undefined]];
  }
  throw new Error(`no such call: ${ask.call}`);
}

const ON_PLEX_TV = new Set(["sign_in", "token_details", "resources"]);

function maker(ask) {
  const [group, method, args] = prepared(ask);
  const elsewhere = ask.plex_tv && ON_PLEX_TV.has(ask.call);
  const options = { ...(elsewhere && { serverURL: `${ask.plex_tv}/api/v2` }), ...ask.options };
  const construction = { accessToken: ask.token, serverURL: ask.server, ...ask.construction };
  if (ask.how === "method") {
    const sdk = new PlexAPI(construction);
    return () => sdk[group][method](...args, options);
  }
  const name = `${group}${method[0].toUpperCase()}${method.slice(1)}`;
  const standalone = require(`@lukehagar/plexjs/funcs/${name}.js`)[name];
  const core = new PlexAPICore(construction);
  return async () => {
    const result = await standalone(core, ...args, options);
    if (!result.ok) throw new Returned(result.error);
    return result.value;
  };
}

// An error that a standalone function returned: it threw nothing.
class Returned {
  constructor(error) {
    this.error = error;
  }
}

function read(call, result) {
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
      return result.rawResponse.text().catch(String).then((text) => ({ keys: Object.keys(result).sort(), text }));
  }
}

function refused(error, thrown) {
  const facts = { raised: error.constructor.name, thrown };
  if (error instanceof SDKError) return { ...facts, status: error.statusCode, body: error.body, codes: [] };
  if (error.rawResponse === undefined) return { ...facts, message: String(error) };
  // A typed error keeps what it has read; the response itself is read to its end.
  const listed = error.errors ?? [];
  const body = JSON.stringify({ errors: listed });
  return { ...facts, status: error.rawResponse.status, body, codes: listed.map((one) => one.code) };
}

async function outcome(ask) {
  try {
    const make = maker(ask);
    if (ask.at_once === undefined) {
      const result = await make();
      return { status: result.statusCode, result: await read(ask.call, result) };
    }
    const results = await Promise.all(Array.from({ length: ask.at_once }, make));
    return { statuses: results.map((one) => one.statusCode) };
  } catch (error) {
    return error instanceof Returned ? refused(error.error, false) : refused(error, true);
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(JSON.parse(line))));
  }
}

main();
