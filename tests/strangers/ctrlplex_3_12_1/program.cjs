// @ctrl/plex 3.12.1 as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out. Plex's addresses are built into it, so it is run
// with nothing pointed anywhere. It asks by `fetch`, which goes by the proxy of the environment from Node.js 24 and
// 22.21 on; with an older one its users behind a proxy let undici do that, and so does this program. A run without a
// proxy is none for it: it looks for a network card's address, and there is no card in there.
"use strict";

const readline = require("node:readline");

const [major, minor] = process.versions.node.split(".").map(Number);

if (major < 22 || major === 23 || (major === 22 && minor < 21)) {
  const { EnvHttpProxyAgent, setGlobalDispatcher } = require("undici");
  setGlobalDispatcher(new EnvHttpProxyAgent());
}

const BEGUN = new Map();

function told(account) {
  return { username: account.username, email: account.email, id: account.id, token: account.token };
}

function known(server) {
  return { name: server.friendlyName, identifier: server.machineIdentifier, url: server.baseurl };
}

async function called(ask) {
  const { MyPlexAccount, PlexServer } = await import("@ctrl/plex");
  const account = () => new MyPlexAccount(null, "", "", ask.token).connect();
  switch (ask.call) {
    case "sign_in":
      return told(await new MyPlexAccount(null, ask.login, ask.password).connect());
    case "token_details":
      return told(await account());
    case "pin_begin": {
      const begun = await MyPlexAccount.getWebLogin(ask.forward);
      BEGUN.set(ask.name, begun);
      return { url: begun.uri, code: begun.code };
    }
    case "pin_wait":
      return told(await MyPlexAccount.webLoginCheck(BEGUN.get(ask.name), 5));
    case "resources": {
      const found = await (await account()).resources();
      return { servers: Object.fromEntries(found.map((one) => [one.name, one.accessToken])) };
    }
    case "connect": {
      const resource = await (await account()).resource(ask.name);
      return known(await resource.connect(ask.ssl));
    }
    case "devices":
      return { devices: (await (await account()).devices()).map((one) => one.clientIdentifier) };
    case "claim_token":
      return { token: await (await account()).claimToken() };
    case "server": {
      const server = new PlexServer(ask.server, ask.token);
      await server.connect();
      return known(server);
    }
  }
  throw new Error(`no such call: ${ask.call}`);
}

async function outcome(ask) {
  try {
    return { result: await called(ask) };
  } catch (error) {
    return { raised: error.constructor.name, message: String(error), status: error.status };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(JSON.parse(line))));
  }
}

main();
