// The few lines of ioredis that docs/protocol.md uses, on the unix socket that REDIS_SOCKET names.
import { createConnection } from "node:net";

export default class Redis {
  #socket = createConnection(process.env.REDIS_SOCKET);
  #waiting = [];
  #bytes = "";

  constructor() {
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text) => {
      this.#bytes += text;
      this.#takeReplies();
    });
  }

  #takeReplies() {
    for (let end; (end = this.#bytes.indexOf("\r\n")) >= 0; ) {
      const line = this.#bytes.slice(0, end);
      this.#bytes = this.#bytes.slice(end + 2);
      const { resolve, reject } = this.#waiting.shift();
      if (line[0] === ":") resolve(Number(line.slice(1)));
      else reject(new Error(line));
    }
  }

  #call(...words) {
    const parts = words.map((w) => (Buffer.isBuffer(w) ? w : Buffer.from(w)));
    this.#socket.write(`*${parts.length}\r\n`);
    for (const p of parts) this.#socket.write(Buffer.concat([Buffer.from(`$${p.length}\r\n`), p, Buffer.from("\r\n")]));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  lpush(key, value) {
    return this.#call("LPUSH", key, value);
  }

  llen(key) {
    return this.#call("LLEN", key);
  }

  disconnect() {
    this.#socket.end();
  }
}
