import { setTimeout as sleep } from "node:timers/promises";
import { constants, createBrotliCompress, createDeflate, createGzip, gzipSync } from "node:zlib";
import { type A2AError, createGuardedFetch, type GuardedFetchOptions } from "rulake/agents";
import { describe, expect, it, onTestFinished } from "vitest";
import { bestOfThree } from "../timing.js";
import { bodyOf, failure, growth, serve, serveTcp, until } from "./hostile-server.js";

function guarded(options: GuardedFetchOptions = {}) {
  const http = createGuardedFetch({ network: { allowLoopback: true }, ...options });
  onTestFinished(() => http.close());
  return http;
}

/** Writes until the other side stops reading or goes away. */
function flood(stream: NodeJS.WritableStream, bytes: number, piece: Buffer): void {
  let sent = 0;
  const more = () => {
    while (sent < bytes) {
      sent += piece.length;
      if (!stream.write(piece)) {
        stream.once("drain", more);
        return;
      }
    }
    stream.end();
  };
  more();
}

const MEGABYTE = 1024 * 1024;

describe("a guarded fetch", () => {
  it("gives what fetch gives", async () => {
    const server = await serve(async (request, response) => {
      response.writeHead(201, "Made", { "x-path": request.url, "content-type": "text/plain" });
      response.end(`${request.method} ${await bodyOf(request)}`);
    });
    const { fetch } = guarded();
    const response = await fetch(`${server.origin}/a?b=c#d`, { method: "post", body: "hällo" });
    expect([response.status, response.statusText, response.ok]).toEqual([201, "Made", true]);
    expect(response.url).toBe(`${server.origin}/a?b=c`);
    expect(response.headers.get("x-path")).toBe("/a?b=c");
    expect(await response.text()).toBe("POST hällo");
    expect(server.requests[0]?.headers["content-type"]).toBe("text/plain;charset=UTF-8");
  });

  it("takes every kind of request", async () => {
    const server = await serve(async (request, response) => {
      response.end(`${request.headers["content-type"] ?? "-"} ${await bodyOf(request)}`);
    });
    const { fetch } = guarded();
    const post = (body: RequestInit["body"]) =>
      fetch(new URL(server.origin), { method: "POST", body: body ?? null }).then((each) => each.text());
    expect(await post(new URLSearchParams({ a: "b" }))).toBe(
      "application/x-www-form-urlencoded;charset=UTF-8 a=b",
    );
    expect(await post(new Uint8Array([0x68, 0x69]))).toBe("- hi");
    expect(await post(new Blob(["x"], { type: "text/css" }))).toBe("text/css x");
    expect(await post(new Response("y").body)).toBe("- y");
    const request = new Request(server.origin, {
      method: "PUT",
      body: "z",
      headers: { "content-type": "a/b" },
    });
    expect(await (await fetch(request)).text()).toBe("a/b z");
    expect(await (await fetch(server.origin, { method: "HEAD" })).text()).toBe("");
  });

  it("uses a connection again, and a new one when the old was closed meanwhile", async () => {
    const server = await serve((_, response) => response.end("x"));
    const { fetch } = guarded();
    for (let i = 0; i < 3; i++) expect(await (await fetch(server.origin)).text()).toBe("x");
    expect(server.connections).toBe(1);
    for (const socket of server.open) socket.destroy();
    expect(await (await fetch(server.origin)).text()).toBe("x");
    expect(server.connections).toBe(2);
  });

  it.each([
    ["gzip", createGzip],
    ["deflate", createDeflate],
    ["br", createBrotliCompress],
  ])("reads %s", async (encoding, compress) => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": encoding });
      const stream = compress();
      stream.pipe(response);
      stream.end("text".repeat(10_000));
    });
    const response = await guarded().fetch(server.origin);
    expect(await response.text()).toBe("text".repeat(10_000));
    expect(response.headers.has("content-encoding")).toBe(false);
  });

  it("passes pieces of a stream on as they come", async () => {
    const server = await serve(async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let i = 0; i < 3; i++) {
        response.write(`data: ${i}\n\n`);
        await sleep(80);
      }
      response.end();
    });
    const { body } = await guarded().fetch(server.origin);
    const times: number[] = [];
    for await (const piece of body ?? []) if (piece.length > 0) times.push(performance.now());
    expect(times).toHaveLength(3);
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(100);
  });

  it("refuses options that do not exist or cannot be", () => {
    const code = (options: unknown) => {
      try {
        createGuardedFetch(options as GuardedFetchOptions);
        return undefined;
      } catch (error) {
        return (error as A2AError).code;
      }
    };
    expect(code({ limit: {} })).toBe("UNKNOWN_OPTION");
    expect(code({ limits: { totalMS: 1 } })).toBe("UNKNOWN_OPTION");
    expect(code({ network: { allowLoopbak: true } })).toBe("UNKNOWN_OPTION");
    for (const value of [0, -1, 1.5, Number.NaN, "5", 2 ** 31]) {
      expect(code({ limits: { totalMs: value } })).toBe("INVALID_OPTION");
    }
    expect(code({ network: { allowLoopback: 1 } })).toBe("INVALID_OPTION");
    for (const host of ["*.example", "http://x", "a/b", "", 7]) {
      expect(code({ network: { allowHosts: [host] } })).toBe("INVALID_OPTION");
    }
    expect(code({ auth: { bearer: "t" } })).toBe("INVALID_OPTION");
    expect(code({ auth: { bearer: "t" }, origin: "peer" })).toBe("INVALID_OPTION");
    expect(code({ auth: { bearer: "a\nb" }, origin: "https://p" })).toBe("INVALID_OPTION");
    expect(code({ auth: { apiKey: { header: "a b", value: "c" } }, origin: "https://p" })).toBe(
      "INVALID_OPTION",
    );
    expect(code({ auth: { token: "t" }, origin: "https://p" })).toBe("UNKNOWN_OPTION");
  });
});

describe("deadlines", bestOfThree, () => {
  const limits = { connectMs: 200, headersMs: 250, idleMs: 250, totalMs: 3_000 };

  /** What a call ends with, its phase, and whether it took about as long as it may. */
  async function expires(work: Promise<unknown>, ms: number) {
    const started = performance.now();
    const error = await failure(work);
    const took = performance.now() - started;
    expect(took).toBeGreaterThan(ms - 60);
    expect(took).toBeLessThan(ms + 1_000);
    return [error.code, error.context.phase, error.isRetryable()];
  }

  it("end a name that nobody resolves", async () => {
    const network = { resolve: () => new Promise<never>(() => {}) };
    const { fetch } = guarded({ network, limits });
    expect(await expires(fetch("https://peer.test"), 200)).toEqual(["DEADLINE_EXCEEDED", "connect", true]);
  });

  it("end a TLS handshake that does not come", async () => {
    const server = await serveTcp((socket) => socket.resume());
    const { fetch } = guarded({ limits });
    const url = server.origin.replace("http:", "https:");
    expect(await expires(fetch(url), 200)).toEqual(["DEADLINE_EXCEEDED", "connect", true]);
    await until(() => server.open.size === 0);
  });

  it("end a server that hangs", async () => {
    const server = await serve(() => {});
    const { fetch } = guarded({ limits });
    expect(await expires(fetch(server.origin), 250)).toEqual(["DEADLINE_EXCEEDED", "headers", true]);
    await until(() => server.open.size === 0);
  });

  it("end a server that drips headers", async () => {
    const server = await serveTcp((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const drip = setInterval(() => socket.write("x: y\r\n"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    const { fetch } = guarded({ limits });
    expect(await expires(fetch(server.origin), 250)).toEqual(["DEADLINE_EXCEEDED", "headers", true]);
  });

  it("end a body that stops", async () => {
    const server = await serve((_, response) => response.write("half"));
    const { fetch } = guarded({ limits });
    const response = await fetch(server.origin);
    expect(await expires(response.text(), 250)).toEqual(["DEADLINE_EXCEEDED", "idle", true]);
    await until(() => server.open.size === 0);
  });

  it("end a body that drips for ever, compressed or not", async () => {
    const server = await serve((request, response) => {
      const gzip = createGzip();
      const out = request.url === "/gzip" ? gzip : response;
      if (out === gzip) {
        response.setHeader("content-encoding", "gzip");
        gzip.pipe(response);
      }
      const drip = setInterval(() => {
        out.write(".");
        if (out === gzip) gzip.flush();
      }, 20);
      response.on("close", () => clearInterval(drip));
    });
    const { fetch } = guarded({ limits: { ...limits, idleMs: 3_000, totalMs: 600 } });
    for (const path of ["/", "/gzip"]) {
      const text = fetch(server.origin + path).then((response) => response.text());
      expect(await expires(text, 600)).toEqual(["DEADLINE_EXCEEDED", "total", true]);
    }
    await until(() => server.open.size === 0);
  });

  it("do not run while the reader takes its time", async () => {
    const server = await serve((_, response) => response.end("x".repeat(4 * MEGABYTE)));
    const { fetch } = guarded({ limits: { ...limits, idleMs: 200, totalMs: 10_000 } });
    let length = 0;
    for await (const piece of (await fetch(server.origin)).body ?? []) {
      if (length === 0) await sleep(600);
      length += piece.length;
    }
    expect(length).toBe(4 * MEGABYTE);
  });

  it("leave a stream alone that is silent for a while", async () => {
    const server = await serve(async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": first\n\n");
      // Longer than a connection that is not in use would be kept.
      await sleep(4_000);
      response.end(": second\n\n");
    });
    const response = await guarded().fetch(server.origin);
    expect(await response.text()).toBe(": first\n\n: second\n\n");
  });

  it("can be set for one call", async () => {
    const server = await serve(() => {});
    const work = guarded().fetch(server.origin, { limits: { totalMs: 150 } });
    expect(await expires(work, 150)).toEqual(["DEADLINE_EXCEEDED", "total", true]);
  });
});

describe("sizes", () => {
  it("refuses a body that announces too much before it comes", async () => {
    const server = await serve((_, response) => {
      response.setHeader("content-length", 400 * MEGABYTE);
      response.write("x");
    });
    const error = await failure(guarded().fetch(server.origin));
    expect([error.code, error.context.limit]).toEqual(["RESPONSE_TOO_LARGE", "bodyBytes"]);
    await until(() => server.open.size === 0);
  });

  it("stops a body of 400 MB at the limit, in bounded memory", async () => {
    const piece = Buffer.alloc(64 * 1024, "x");
    const server = await serve((_, response) => flood(response, 400 * MEGABYTE, piece));
    const { fetch } = guarded();
    const most = 64 * MEGABYTE;
    const work = async () => {
      const error = await failure(fetch(server.origin).then((response) => response.text()));
      expect([error.code, error.context.limit]).toEqual(["RESPONSE_TOO_LARGE", "bodyBytes"]);
    };
    expect(await growth(most, work)).toBeLessThan(most);
    await until(() => server.open.size === 0);
  });

  it.each([
    ["gzip", createGzip],
    ["deflate", createDeflate],
    ["br", () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })],
  ])("stops a bomb of %s, in bounded memory", async (encoding, compress) => {
    // 300 MB that fit into a few hundred kB.
    const pieces: Buffer[] = [];
    const stream = compress();
    stream.on("data", (each: Buffer) => pieces.push(each));
    flood(stream, 300 * MEGABYTE, Buffer.alloc(MEGABYTE));
    await new Promise((resolve) => stream.once("end", resolve));
    const bomb = Buffer.concat(pieces);
    expect(bomb.length).toBeLessThan(MEGABYTE);
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": encoding });
      response.end(bomb);
    });
    const { fetch } = guarded();
    const most = 64 * MEGABYTE;
    const work = async () => {
      const error = await failure(fetch(server.origin).then((response) => response.arrayBuffer()));
      expect(error.code).toBe("RESPONSE_TOO_LARGE");
    };
    expect(await growth(most, work)).toBeLessThan(most);
  });

  it("refuses encodings in a row, unknown and broken ones", async () => {
    const server = await serve((request, response) => {
      const encoding = decodeURIComponent((request.url ?? "").slice(1));
      response.writeHead(200, { "content-encoding": encoding });
      response.end(gzipSync(gzipSync("x")).subarray(0, encoding === "br" ? 10 : undefined));
    });
    const { fetch } = guarded();
    const get = (encoding: string) =>
      failure(fetch(`${server.origin}/${encodeURIComponent(encoding)}`).then((response) => response.text()));
    for (const encoding of ["gzip, gzip", "zstd", "br"]) {
      expect((await get(encoding)).code).toBe("PROTOCOL_ERROR");
    }
  });

  it("counts a stream of events by its own limit", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      flood(response, 10 * MEGABYTE, Buffer.from(`: ${"x".repeat(1000)}\n\n`));
    });
    const { fetch } = guarded({ limits: { bodyBytes: 1000, streamBytes: 2 * MEGABYTE } });
    const ask = (accept: string) =>
      failure(fetch(server.origin, { headers: { accept } }).then((each) => each.text()));
    const error = await ask("text/event-stream");
    expect([error.code, error.context.limit]).toEqual(["RESPONSE_TOO_LARGE", "streamBytes"]);
    // A peer cannot have the larger limit by calling an answer a stream.
    expect((await ask("application/json")).context.limit).toBe("bodyBytes");
  });

  it(
    "leaves a body that nobody reads with its sender, and closes the connection when it is given up",
    bestOfThree,
    async () => {
      let sent = 0;
      const server = await serve((_, response) => {
        const piece = Buffer.alloc(64 * 1024);
        const more = () => {
          while (sent < 300 * MEGABYTE) {
            sent += piece.length;
            if (!response.write(piece)) {
              response.once("drain", more);
              return;
            }
          }
        };
        more();
      });
      const { fetch } = guarded({ limits: { bodyBytes: 400 * MEGABYTE } });
      const response = await fetch(server.origin);
      const reader = response.body?.getReader();
      await reader?.read();
      await sleep(300);
      expect(sent).toBeLessThan(16 * MEGABYTE);
      const started = performance.now();
      await reader?.cancel();
      await until(() => server.open.size === 0);
      expect(performance.now() - started).toBeLessThan(500);
    },
  );
});

describe("JSON", () => {
  const send = async (body: string, type = "application/json", accept = "*/*") => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-type": type });
      // In pieces that cut tokens apart.
      for (let at = 0; at < body.length; at += 7) response.write(body.slice(at, at + 7));
      response.end();
    });
    return guarded()
      .fetch(server.origin, { headers: { accept } })
      .then((response) => response.text());
  };

  it("is refused when it is nested too deep", async () => {
    const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(await send(deep(64))).toBe(deep(64));
    expect((await failure(send(deep(65)))).code).toBe("JSON_REFUSED");
    expect((await failure(send('{"a":'.repeat(20_000)))).code).toBe("JSON_REFUSED");
    expect(await send(JSON.stringify("[".repeat(1000)))).toHaveLength(1002);
    expect((await failure(send(deep(65), "application/a2a+json; charset=utf-8"))).code).toBe("JSON_REFUSED");
    expect(await send(deep(65), "text/plain")).toBe(deep(65));
    // Whoever asks for JSON will parse it, whatever it is called.
    for (const type of ["text/plain", "text/event-stream", "image/png"]) {
      expect((await failure(send(deep(65), type, "application/a2a+json, */*"))).code).toBe("JSON_REFUSED");
    }
  });

  it("is refused with a key __proto__, however it is written", async () => {
    expect((await failure(send('{"a":[{"__proto__" : {"admin":true}}]}'))).code).toBe("JSON_REFUSED");
    expect((await failure(send('{"\\u005f_proto_\\u005F":1}'))).code).toBe("JSON_REFUSED");
    for (const fine of ['{"a":"__proto__"}', '["__proto__"]', '{"__proto__x":1}', '{"a\\"__proto__":1}']) {
      expect(await send(fine)).toBe(fine);
    }
  });

  it("is looked at in each event of a stream", async () => {
    const events = (...datas: string[]) => datas.map((data) => `${data}\n\n`).join("");
    const stream = (text: string) => send(text, "text/event-stream", "text/event-stream");
    const deep = "[".repeat(40);
    const fine = events(
      `data: ${deep}`,
      `event: "x\ndata: ${deep}`,
      `: it's "open\n: ${"[".repeat(100)}`,
      'data: "a',
    );
    expect(await stream(fine)).toBe(fine);
    for (const end of ["\n", "\r\n", "\r"]) {
      const split = `data: ${deep}${end}: ${"]".repeat(40)}${end}data: ${deep}${end}${end}`;
      expect((await failure(stream(split))).code).toBe("JSON_REFUSED");
      expect((await failure(stream(`data:{"__proto__":1}${end}${end}`))).code).toBe("JSON_REFUSED");
    }
  });
});

describe("connections that break", () => {
  it("are told apart by what the caller can do", async () => {
    const cut = await serveTcp((socket) => socket.once("data", () => socket.destroy()));
    const half = await serve((_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half", () => response.destroy());
    });
    const chunked = await serve((_, response) => {
      response.write("half", () => setTimeout(() => response.destroy(), 50));
    });
    const gibberish = await serveTcp((socket) => socket.once("data", () => socket.end("SSH-2.0-x\r\n\r\n")));
    const strange = await serveTcp((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 999 No\r\n\r\n")),
    );
    const swollen = await serve((_, response) => {
      response.writeHead(200, { x: "y".repeat(40_000) });
      response.end();
    });
    const { fetch } = guarded();
    const read = (url: string) => failure(fetch(url, { method: "POST" }).then((response) => response.text()));
    const codes = async (url: string) => {
      const { code, category } = await read(url);
      return `${code} ${category}`;
    };
    expect(await codes("http://127.0.0.1:1")).toBe("PEER_UNREACHABLE infrastructure");
    expect(await codes(cut.origin)).toBe("CONNECTION_LOST transient");
    expect(await codes(half.origin)).toBe("CONNECTION_LOST transient");
    expect(await codes(chunked.origin)).toBe("CONNECTION_LOST transient");
    expect(await codes(gibberish.origin)).toBe("PROTOCOL_ERROR permanent");
    expect(await codes(strange.origin)).toBe("PROTOCOL_ERROR permanent");
    expect(await codes(swollen.origin)).toBe("PROTOCOL_ERROR permanent");
    expect(cut.connections).toBe(1);
  });

  it("are no loss when the answer ends with its connection", async () => {
    const server = await serveTcp((socket) =>
      socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nwhole")),
    );
    expect(await (await guarded().fetch(server.origin)).text()).toBe("whole");
  });

  it("end with the caller's signal, whenever it comes", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/body") response.write("half");
    });
    const { fetch } = guarded();
    const gone = new Error("changed my mind");
    await expect(fetch(server.origin, { signal: AbortSignal.abort(gone) })).rejects.toBe(gone);
    expect(server.connections).toBe(0);
    const early = new AbortController();
    const waiting = fetch(server.origin, { signal: early.signal });
    await until(() => server.requests.length === 1);
    early.abort(gone);
    await expect(waiting).rejects.toBe(gone);
    const late = new AbortController();
    const response = await fetch(`${server.origin}/body`, { signal: late.signal });
    const text = response.text();
    late.abort();
    await expect(text).rejects.toHaveProperty("name", "AbortError");
    await until(() => server.open.size === 0);
  });

  it("end when the client is closed", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/body") response.write("half");
    });
    const { fetch, close } = guarded();
    const waiting = failure(fetch(server.origin));
    const response = await fetch(`${server.origin}/body`);
    const text = failure(response.text());
    await until(() => server.requests.length === 2);
    await close();
    expect([(await waiting).code, (await text).code]).toEqual(["CLOSED", "CLOSED"]);
    expect((await failure(fetch(server.origin))).code).toBe("CLOSED");
    await until(() => server.open.size === 0);
  });
});

describe("redirects", () => {
  it("are followed within the origin, a few times", async () => {
    const server = await serve((request, response) => {
      const left = Number(new URL(request.url ?? "", "http://x").searchParams.get("left"));
      if (left === 0) return response.end("there");
      response.writeHead(302, { location: `?left=${left - 1}` });
      return response.end();
    });
    const { fetch } = guarded();
    const response = await fetch(`${server.origin}/a?left=3`);
    expect([await response.text(), response.redirected, response.url]).toEqual([
      "there",
      true,
      `${server.origin}/a?left=0`,
    ]);
    expect((await failure(fetch(`${server.origin}/a?left=4`))).code).toBe("REDIRECT_REFUSED");
    expect((await failure(fetch(`${server.origin}/a?left=1`, { redirect: "error" }))).code).toBe(
      "REDIRECT_REFUSED",
    );
    expect((await fetch(`${server.origin}/a?left=1`, { redirect: "manual" })).status).toBe(302);
  });

  it.each([301, 302, 303, 307, 308])(
    "%i is never followed by a POST or to another origin",
    async (status) => {
      const other = await serve((_, response) => response.end("stolen"));
      const targets = [
        "/same",
        other.origin,
        "file:///etc/passwd",
        "http://169.254.169.254/latest/",
        "//other/",
        ":",
      ];
      for (const location of targets) {
        const server = await serve((_, response) => {
          response.writeHead(status, { location });
          response.end();
        });
        const { fetch } = guarded({
          auth: { apiKey: { header: "x-api-key", value: "s3cret" } },
          origin: server.origin,
        });
        const post = await failure(fetch(server.origin, { method: "POST", body: "{}" }));
        expect(post.code).toBe("REDIRECT_REFUSED");
        if (location !== "/same") expect((await failure(fetch(server.origin))).code).toBe("REDIRECT_REFUSED");
      }
      expect(other.connections).toBe(0);
    },
  );
});
