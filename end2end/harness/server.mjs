// The real server, as a process of its own on a free loopback port with a data directory that goes
// away with it. Stopped by process id.
import { execFile, spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { eventually } from "./eventually.mjs";

const RESULTS = fileURLToPath(new URL("../results", import.meta.url));

/** What scripts/e2e hands over; without it the tests do not know what to test. */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with scripts/e2e`);
  return value;
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The environment without settings of whoever runs the tests. */
function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TICKCAST_")));
}

export class Server {
  #process;
  #log;
  #directory;

  constructor(port, directory, flags) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.flags = flags;
    /** Another front end than the one that is tested, from the next `begin` on. */
    this.site = undefined;
    this.#directory = directory;
  }

  /** Starts `tickcast serve` with `flags` after those of the harness; ready when it resolves. */
  static async start(flags = []) {
    const directory = await mkdtemp(join(tmpdir(), "tickcast-e2e-"));
    const server = new Server(await freePort(), directory, flags);
    await server.begin();
    return server;
  }

  /** Starts the process, again on the same port and data after `stop` or `kill`. */
  async begin() {
    mkdirSync(RESULTS, { recursive: true });
    this.#log = createWriteStream(join(RESULTS, `server-${this.port}.log`), { flags: "a" });
    const arguments_ = ["serve", "--port", String(this.port), "--data-dir", join(this.#directory, "data")];
    arguments_.push("--site-root", this.site ?? required("E2E_SITE"), ...this.flags);
    const child = spawn(required("E2E_TICKCAST"), arguments_, {
      cwd: this.#directory,
      env: plainEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.pipe(this.#log, { end: false });
      stream.on("data", (data) => (said = (said + data).slice(-4000)));
    }
    child.ended = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
    child.once("error", (error) => (said += error.message));
    await eventually(`the server answers on ${this.url}`, async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
        throw new Error(`the server ended (${child.exitCode ?? child.signalCode}): ${said}`);
      }
      return fetch(`${this.url}/healthz`).then((answer) => answer.ok, () => false);
    });
  }

  /** Ends the process as Ctrl-C does, and hard when it does not go. */
  async stop() {
    await this.#end("SIGINT");
  }

  /** Ends the process without a chance to tidy up. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Lets the process stand still, its connections open, until `resume`. */
  pause() {
    this.#process.kill("SIGSTOP");
  }

  /** Lets it go on. */
  resume() {
    this.#process.kill("SIGCONT");
  }

  async #end(signal) {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      const hard = setTimeout(() => child.kill("SIGKILL"), 20_000);
      await child.ended;
      clearTimeout(hard);
    }
    this.#log.end();
  }

  /** Makes a token by the command; the running server takes it up. */
  async newToken(role) {
    return this.#command(["token", "new", "--role", role, "--name", "e2e"]);
  }

  /** Imports the text of a file while the server is stopped. */
  async import(name, text) {
    await writeFile(join(this.#directory, name), text);
    return this.#command(["import", name]);
  }

  /** Runs a command over the server's data; what it printed. */
  async #command(arguments_) {
    const all = [...arguments_, "--data-dir", join(this.#directory, "data")];
    const { stdout } = await promisify(execFile)(required("E2E_TICKCAST"), all, {
      cwd: this.#directory,
      env: plainEnvironment(),
    });
    return stdout.trim();
  }

  /** Stops it and removes its data. */
  async dispose() {
    await this.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Posts ticks; the server answers once it has stored them. */
  async push(ticks) {
    const answer = await fetch(`${this.url}/api/ticks`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(ticks),
    });
    const body = await answer.json();
    if (!answer.ok || body.stored !== ticks.length) {
      throw new Error(`the server did not store ${ticks.length} ticks: ${JSON.stringify(body)}`);
    }
  }
}
