// A peer for the bridge: npm oidc-provider with its own development pages, in memory.
// Arguments: the port, the client's redirect address, its id and its secret.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, redirectUri, clientId, clientSecret] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] }],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
  cookies: { keys: ["made up, for loopback"] },
  claims: { profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  findAccount: async (_context, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: id, preferred_username: id, email: `${id}@example.test`, email_verified: true }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
