// One forecasting core: the command line, the server, the backtest and the browser's worker give the
// same numbers. Not nearly: the same bits, for the core takes its functions from libm and orders its
// sums, and WebAssembly's arithmetic is IEEE 754's.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HORIZON = 12;
const LEVELS = [50, 80, 95];
// Every name, and orders with each kind of term and constant.
const PLAIN = ["naive", "drift", "snaive", "mean", "ets", "theta", "auto-arima", "garch", "combo"];
const ORDERS = ["arima(1,1,1)", "arima(2,0,1)+mean", "arima(0,1,2)+drift", "arima(0,2,2)"];
const SEASONAL = ["arima(0,1,1)(0,1,1)[12]", "arima(1,0,0)(1,1,0)[12]+drift"];

let folder;
let series;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tickcast-numbers-"));
  series = await sampleSeries();
});
after(() => rm(folder, { recursive: true, force: true }));

/** Daily prices of four firms, the same with holes, and monthly series with a season of 12. */
async function sampleSeries() {
  const table = gunzipSync(await readFile(join(ROOT, "data/stocks-daily.csv.gz"))).toString();
  const [head, ...rows] = table.trim().split("\n").map((line) => line.trim().split(","));
  const [ticker, close] = ["Ticker", "Adj Close"].map((name) => head.indexOf(name));
  const days = (name) => rows.filter((row) => row[ticker] === name).map((row) => Number(row[close]));
  const daily = Object.fromEntries(["AAPL", "GOOG", "IBM", "MSFT"].map((name) => [name, days(name).slice(-500)]));
  daily.holes = daily.IBM.slice(-200).map((value, day) => (day % 17 === 3 ? null : value));
  const path = join(ROOT, "crates/forecast/tests/fixtures/arima_reference.json");
  const reference = Object.entries(JSON.parse(await readFile(path, "utf8")));
  const monthly = Object.fromEntries(
    reference.filter(([, { frequency }]) => frequency === 12).map(([name, { values }]) => [name, values]),
  );
  assert.ok(Object.keys(monthly).length >= 1 && daily.IBM.length === 500);
  return { daily, monthly };
}

/** What `tickcast COMMAND` prints as JSON for the series given, by name. */
async function commandLine(command, many, flags) {
  const path = join(folder, "series.csv");
  const lines = Object.entries(many).flatMap(([name, values]) => values.map((value) => `${name},${value ?? ""}`));
  await writeFile(path, `id,y\n${lines.join("\n")}\n`);
  const levels = LEVELS.flatMap((level) => ["--level", level]);
  const given = [command, "--input", path, "--id", "id", "--column", "y", "--horizon", HORIZON, ...levels];
  const { stdout } = await promisify(execFile)(
    process.env.E2E_TICKCAST,
    [...given, "--format", "json", ...flags].map(String),
    { maxBuffer: 1 << 28 },
  );
  return Object.fromEntries(JSON.parse(stdout).map(({ id, ...answer }) => [id, answer]));
}

/** The worker's replies to requests, one after the other. */
async function inTheBrowser(page, requests) {
  const levelled = requests.map((request) => ({ levels: LEVELS, horizon: HORIZON, ...request }));
  return page.evaluate(async (requests) => {
    const worker = new Worker("/worker/main.js", { type: "module" });
    const replies = [];
    for (const [id, request] of requests.entries()) {
      replies.push(
        await new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
          worker.postMessage({ id, ...request });
        }),
      );
    }
    worker.terminate();
    return replies;
  }, levelled);
}

/** The answers of one model to many series by name. */
async function answersOf(page, many, request) {
  const replies = await inTheBrowser(page, Object.values(many).map((values) => ({ values, ...request })));
  return Object.fromEntries(
    Object.keys(many).map((name, at) => {
      assert.equal(replies[at].error, undefined, `${request.model} of ${name}`);
      return [name, replies[at].answer];
    }),
  );
}

const withoutSeconds = (answers) =>
  Object.fromEntries(Object.entries(answers).map(([name, { seconds, ...rest }]) => [name, rest]));

const cases = () => [
  ...[...PLAIN, ...ORDERS].map((model) => ({ kind: "daily", model, season: 1, log: false })),
  ...["naive", "auto-arima", "garch", "combo"].map((model) => ({ kind: "daily", model, season: 5, log: true })),
  ...[...PLAIN, ...SEASONAL].map((model) => ({ kind: "monthly", model, season: 12, log: false })),
];

scenario("the worker's fit and forecast are the command line's, to the last bit", {}, async (page) => {
  await page.goto("/");
  for (const { kind, model, season, log } of cases()) {
    const flags = ["--model", model, "--season", season, ...(log ? ["--log"] : [])];
    const wanted = await commandLine("forecast", series[kind], flags);
    const got = await answersOf(page, series[kind], { model, season, log });
    assert.equal(Object.keys(wanted).length, Object.keys(series[kind]).length);
    assert.deepEqual(withoutSeconds(got), withoutSeconds(wanted), `${model}, season ${season}, log ${log}`);
  }
});

scenario("what the server predicts is what the worker forecasts", {}, async (page, server) => {
  await page.goto("/");
  for (const { kind, model, season } of cases().filter(({ log }) => !log)) {
    const got = await answersOf(page, series[kind], { model, season });
    for (const [name, values] of Object.entries(series[kind])) {
      const answer = await fetch(`${server.url}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ series: values, model, season, horizon: HORIZON, levels: LEVELS }),
      });
      const prediction = await answer.json();
      assert.ok(answer.ok, `${model} of ${name}: ${JSON.stringify(prediction)}`);
      const { mean, lower, upper } = got[name];
      assert.deepEqual(prediction.mean, mean, `${model} of ${name}`);
      for (const band of prediction.bands) {
        const { [band.level]: low } = lower;
        const { [band.level]: high } = upper;
        assert.deepEqual([band.lower, band.upper], [low, high], `${model} of ${name} at ${band.level}`);
      }
      assert.equal(prediction.bands.length, LEVELS.length);
    }
  }
});

scenario("the browser goes on with the server's state of a model to the same bits", {}, async (page, server) => {
  // A page that does not go on to a chart when there are prices.
  await page.goto("/pipeline");
  // Models are fitted anew at multiples of 50 s: one lies at second 140, the next at 190.
  const begin = Math.floor(Date.now() / 50e3) * 50 - 190;
  const price = (second) => 100 + Math.sin(second * second) * 0.2 + second * 0.01;
  const ticks = (from, to) =>
    Array.from({ length: to - from }, (_, at) => from + at).map((second) => ({
      symbol: "STATE",
      ts: new Date((begin + second) * 1000).toISOString(),
      seq: second + 1,
      price: price(second),
      size: 1,
    }));
  await server.push(ticks(0, 150));
  const asked = { symbol: "STATE", interval: "1s", horizon: HORIZON, levels: LEVELS };
  const models = [...PLAIN, "arima(1,1,1)"];
  // One worker each, as a page has one; the state is taken before the newer prices come.
  await page.evaluate((models) => {
    window.workers = models.map((model) => {
      const worker = new Worker("/worker/main.js", { type: "module" });
      const query = { symbol: "STATE", interval: "1s", horizon: 10, model, bars: 120 };
      worker.postMessage({ keep: { series: "STATE 1s", model, query } });
      return worker;
    });
  }, models);
  const ask = (at, request) =>
    page.evaluate(([at, request]) => {
      const worker = window.workers[at];
      return new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage({ id: at, ...request });
      });
    }, [at, request]);
  const seconds = Array.from({ length: 170 }, (_, second) => second);
  const request = (model, last) => ({
    series: "STATE 1s",
    model,
    horizon: HORIZON,
    levels: LEVELS,
    starts: seconds.slice(0, last + 1).map((second) => (begin + second) * 1e6),
    values: seconds.slice(0, last + 1).map(price),
  });
  for (const [at, model] of models.entries()) {
    await eventually(`the state of ${model} is kept`, async () => (await ask(at, request(model, 149))).served);
  }
  await server.push(ticks(150, 170));
  for (const [at, model] of models.entries()) {
    const answer = await fetch(`${server.url}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...asked, model }),
    });
    const prediction = await answer.json();
    assert.ok(answer.ok, `${model}: ${JSON.stringify(prediction)}`);
    const last = prediction.origin.start_us / 1e6 - begin;
    assert.equal(last, 169);
    const reply = await ask(at, request(model, last));
    assert.ok(reply.served, model);
    assert.deepEqual(reply.answer.mean, prediction.mean, model);
    for (const band of prediction.bands) {
      const said = [reply.answer.lower[band.level], reply.answer.upper[band.level]];
      assert.deepEqual([band.lower, band.upper], said, `${model} at ${band.level}`);
    }
  }
});

scenario("a fold of the backtest scores the forecast that the worker makes of its past", {}, async (page) => {
  await page.goto("/");
  const many = Object.fromEntries(Object.entries(series.daily).filter(([name]) => name !== "holes"));
  const models = [...PLAIN, ...ORDERS];
  const flags = [...models.flatMap((model) => ["--model", model]), "--origins", 1];
  const reports = await commandLine("backtest", many, flags);
  const past = Object.fromEntries(Object.entries(many).map(([name, values]) => [name, values.slice(0, -HORIZON)]));
  for (const model of models) {
    const got = await answersOf(page, past, { model });
    for (const [name, values] of Object.entries(many)) {
      const row = reports[name].models.find((row) => row.model === model);
      const misses = got[name].mean.map((mean, step) => Math.abs(values.at(step - HORIZON) - mean));
      const error = misses.reduce((sum, miss) => sum + miss) / HORIZON;
      assert.equal(row.failures, 0, `${model} of ${name}`);
      // The test's own sum may round otherwise; the forecasts under it do not.
      assert.ok(Math.abs(row.measures.mae - error) <= 1e-12 * error, `${model} of ${name}: ${row.measures.mae} ${error}`);
    }
  }
});

scenario("what the core refuses, the worker refuses in the same words", {}, async (page) => {
  await page.goto("/");
  // The last one has a hole and no fault.
  const [unknown, short, negative, last] = await inTheBrowser(page, [
    { values: [1, 2, 3], model: "oracle" },
    { values: [1], model: "arima(1,1,1)" },
    { values: [1, -2, 3], model: "naive", log: true },
    { values: [1, null, 2, 4, 3], model: "naive" },
  ]);
  assert.equal(unknown.error.kind, "invalid");
  assert.match(unknown.error.message, /^unknown model `oracle`: expected naive, drift/);
  assert.match(short.error.message, /^arima\(1,1,1\) needs at least \d+ observations, got 1$/);
  assert.match(negative.error.message, /^observation 1 is -2: the log transform needs positive values$/);
  assert.deepEqual(last.answer.mean, Array(HORIZON).fill(3), "it goes on after a refusal");
});

scenario("the page does not load the worker until it is asked for, and then compressed", {}, async (page) => {
  const answers = new Map();
  page.context().on("response", (answer) => answers.set(new URL(answer.url()).pathname, answer));
  await page.goto("/", { waitUntil: "networkidle" });
  assert.deepEqual([...answers.keys()].filter((path) => path.startsWith("/worker/")), []);
  await inTheBrowser(page, [{ values: [1, 2, 3], model: "naive" }]);
  for (const path of ["/worker/forecast.js", "/worker/forecast_bg.wasm"]) {
    const headers = await answers.get(path)?.allHeaders();
    assert.ok(headers, `${path} was loaded`);
    assert.match(headers["content-encoding"] ?? "", /^(br|gzip)$/, path);
  }
});
