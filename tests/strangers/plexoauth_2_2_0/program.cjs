// plex-oauth 2.2.0 as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out. Plex's addresses are built into it and cannot be
// changed, so it is run with nothing pointed anywhere. Its HTTP library (axios) goes by the proxy that the environment
// names; how often it asks for the token, and after how long, is its caller's to say.
"use strict";

const readline = require("node:readline");
const { PlexOauth } = require("plex-oauth");

function made(ask) {
  return new PlexOauth({
    clientIdentifier: ask.client,
    product: "Stranger",
    device: "Test",
    version: "2.2.0",
    forwardUrl: ask.forward,
    platform: "Web",
    urlencode: ask.encoded,
  });
}

async function called(ask) {
  switch (ask.call) {
    case "login_url": {
      const [url, pin] = await made(ask).requestHostedLoginURL();
      return { url, pin };
    }
    case "auth_token":
      return { token: await made(ask).checkForAuthToken(ask.pin, ask.delay, ask.retries) };
  }
  throw new Error(`no such call: ${ask.call}`);
}

async function outcome(ask) {
  try {
    return { result: await called(ask) };
  } catch (error) {
    return { raised: error.constructor.name, message: String(error), status: error.response?.status };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(JSON.parse(line))));
  }
}

main();
