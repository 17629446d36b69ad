// http.mjs: Fastify in front of BullMQ: POST /v1/jobs checks the body against a schema, adds the job, answers 202 with its id.
import Fastify from "fastify";
import { Queue } from "bullmq";
import { QUEUE, option, redis, uuid7 } from "./common.mjs";

const connection = redis({ enableAutoPipelining: true });
const queue = new Queue(QUEUE, { connection });
const app = Fastify({ logger: false });
const schema = {
  body: {
    type: "object",
    required: ["type", "args"],
    additionalProperties: false,
    properties: { type: { type: "string", const: "noop" }, args: { type: "object", properties: { payload: { type: "string" } } } },
  },
  response: { 202: { type: "object", properties: { id: { type: "string" } } } },
};
app.post("/v1/jobs", { schema }, async (req, reply) => {
  const id = uuid7();
  await queue.add("noop", { id, payload: req.body.args.payload }, { removeOnComplete: true, attempts: 3 });
  return reply.code(202).header("location", `/v1/jobs/${id}`).send({ id });
});
app.get("/healthz", async () => "ok\n");
await app.listen({ port: Number(option("PORT")), host: "127.0.0.1" });
await queue.waitUntilReady();
console.log("ready");
process.on("SIGTERM", async () => {
  await app.close();
  process.exit(0);
});
