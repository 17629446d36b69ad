// Checks one webhook as any receiver would: npm's standardwebhooks gets the secret, the body as it came and the
// headers. Reads {"secret", "body", "headers"} on stdin; prints the payload; ends with 1 if the signature is wrong.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, body, headers } = JSON.parse(readFileSync(0, "utf8"));
try {
  console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
} catch (e) {
  console.log(String(e));
  process.exit(1);
}
