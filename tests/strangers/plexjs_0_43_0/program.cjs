// @lukehagar/plexjs 0.43.0 as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out; `how` is `method` (a method of PlexAPI) or
// `function` (a standalone function on PlexAPICore). This release offers only the two calls to a media server.
"use strict";

const readline = require("node:readline");
const { PlexAPI } = require("@lukehagar/plexjs");
const { PlexAPICore } = require("@lukehagar/plexjs/core.js");
const { PlexAPIError } = require("@lukehagar/plexjs/sdk/models/errors/plexapierror.js");
const operations = require("@lukehagar/plexjs/sdk/models/operations");

const IDENTIFIER = "stranger-plexjs-0-43-0";

// The method's name and the request that it and its standalone function take.
function prepared(ask) {
  switch (ask.call) {
    case "transient_token":
      return [
        "getTransientToken",
        { type: operations.GetTransientTokenType.Delegation, scope: operations.GetTransientTokenScope.All },
      ];
    case "source":
      return ["getSourceConnectionInformation", { source: ask.source }];
  }
  throw new Error(`not offered by this release: ${ask.call}`);
}

async function called(ask) {
  const [method, request] = prepared(ask);
  const options = { token: ask.token, serverURL: ask.server, clientIdentifier: IDENTIFIER, product: "Stranger" };
  if (ask.how === "method") return new PlexAPI(options).general[method](request);
  const name = `general${method[0].toUpperCase()}${method.slice(1)}`;
  const standalone = require(`@lukehagar/plexjs/funcs/${name}.js`)[name];
  const outcome = await standalone(new PlexAPICore(options), request);
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

function read(call, result) {
  const container = result.object.mediaContainer;
  if (call === "transient_token") return { token: container.token };
  const { name, clientIdentifier, accessToken, connection } = container.device;
  return {
    name,
    client_identifier: clientIdentifier,
    token: accessToken,
    connections: connection.map((one) => one.uri),
  };
}

async function outcome(ask) {
  try {
    const result = await called(ask);
    return { status: result.statusCode, result: read(ask.call, result) };
  } catch (error) {
    if (!(error instanceof PlexAPIError)) return { raised: error.constructor.name, message: String(error) };
    return { raised: error.constructor.name, status: error.statusCode, body: error.body, codes: [] };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(JSON.parse(line))));
  }
}

main();
