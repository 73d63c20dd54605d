// The forecasting worker: a module Web Worker around the forecasting core, for pages that forecast
// without a server, and what keeps a chart for the time without one. Loaded only when it is needed:
// new Worker("/worker/main.js", { type: "module" }); a query in its address is passed on to its own files.
//
// A message to it is one request:
//   { id, values, model, horizon, levels, season, log }
//     id        anything; it comes back with the reply
//     values    the series, oldest first: numbers, with null or NaN where one is missing
//     model     as the command line names it: "auto-arima", "arima(1,1,1)+drift", …
//     horizon   steps to forecast
//     levels    of the bands, in percent; [80, 95] when left out
//     season    in steps; 1 when left out
//     log       whether to fit logarithms; false when left out
//     calibration  none, split or adaptive; adaptive when left out
//     series, starts   where given: the name of a state that is kept, and the start of each value in
//               microseconds. The state then forecasts, updated by the values since, as the server does
// and each has one reply:
//   { id, answer }    the object of `tickcast forecast --format json`
//   { id, error }     { kind, message }: kind is invalid, unsupported, numeric, cancelled, unavailable
//                     (the wasm did not come) or internal
//
// A message { keep: { series, model, query } } has no reply: the chart of that query and the states that its
// live models forecast by are fetched and kept, again every few minutes. A message that is a text is what a socket
// of the page has brought: bars, fans and prices of the chart that is kept are put into it.
//
// It answers in the order asked and computes one at a time. Whoever asks keeps one request under way
// and terminates the worker to cancel it. After an internal error it ends by itself: what a panic
// leaves in the memory of a wasm module is not to be relied on.
import { catchUp, putBar } from "../offline/bars.js";
import { CHANNEL, type Chart, type Heard, type Fan, type Keep, type KeptNews, type Overview, type Query } from "../offline/messages.js";
import { Kept, chartRecord, type KeptChart } from "../offline/kept.js";

declare const self: DedicatedWorkerGlobalScope;

/** What wasm-bindgen writes (frontend/worker/src/lib.rs). */
interface Core {
  default(from: { module_or_path: URL }): Promise<unknown>;
  forecast(
    values: Float64Array, model: string, horizon: number, levels: Float64Array, season: number, log: boolean, calibration: string,
  ): string;
  forecast_by_state(state: Uint8Array, model: string, values: Float64Array, horizon: number, levels: Float64Array): string;
}

interface Request {
  id?: unknown;
  values: (number | null)[];
  model: string;
  horizon: number;
  levels?: number[];
  season?: number;
  log?: boolean;
  calibration?: string;
  series?: string;
  starts?: number[];
}

interface Reply {
  answer?: unknown;
  error?: { kind: string; message: string };
  served?: boolean;
}

/** Bars that come with one question. */
const BARS = 480;
const KEEP_EVERY_MS = 5 * 60_000;
const WRITE_EVERY_MS = 1_000;
/** States of live models beside that of the model shown. */
const MOST_MODELS = 4;

/** A file beside this one, of the same build. */
const beside = (name: string): URL => new URL(name + self.location.search, import.meta.url);

const ready: Promise<Core> = import(beside("forecast.js").href).then(async (core: Core) => {
  await core.default({ module_or_path: beside("forecast_bg.wasm") });
  return core;
});
// A failure is told in the reply to each request.
ready.catch(() => {});

const kept = new Kept();
const news = new BroadcastChannel(CHANNEL);
let watched: Keep | undefined;
let record: KeptChart | undefined;
let asking: ReturnType<typeof setTimeout> | undefined;
let writing: ReturnType<typeof setTimeout> | undefined;

async function post<T>(path: string, body: unknown): Promise<T | undefined> {
  try {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    return answer.ok ? ((await answer.json()) as T) : undefined;
  } catch {
    return undefined;
  }
}

async function keep(asked: Keep): Promise<void> {
  clearTimeout(asking);
  asking = setTimeout(keep, KEEP_EVERY_MS, asked);
  if (watched?.series !== asked.series) record = undefined;
  watched = asked;
  const query: Query = { ...asked.query, bars: Math.max(BARS, asked.query.bars) };
  const chart = await post<Chart>("/api/chart", { query });
  // Another chart may be watched by now.
  if (!chart || watched !== asked) return;
  catchUp(chart.bars, record?.chart.bars);
  record = chartRecord(chart, record ?? (await kept.get("charts", asked.series)), Date.now());
  await write();
  const overview = await post<Overview>("/api/overview", { find: "", after: "", current: "" });
  const models = new Set([asked.model, ...(overview?.[0].live_models ?? [])].slice(0, 1 + MOST_MODELS));
  for (const model of models) {
    if (watched === asked) await keepState(query, chart.interval, model, asked.series);
  }
}

async function keepState(query: Query, interval: string, model: string, series: string): Promise<void> {
  try {
    const answer = await fetch(`/state?${new URLSearchParams({ symbol: query.symbol, interval, model })}`);
    if (!answer.ok) return;
    const origin = Number(answer.headers.get("x-tickcast-origin-us"));
    const bytes = new Uint8Array(await answer.arrayBuffer());
    await kept.put("states", { key: `${series} ${model}`, origin, bytes, used_ms: Date.now() });
    if (watched?.series === series) isOver(origin);
    tell();
  } catch {
    // The state before is still good: more values are taken into it.
  }
}

function tell(): void {
  news.postMessage({ durable: kept.durable } satisfies KeptNews);
}

async function write(): Promise<void> {
  clearTimeout(writing);
  writing = undefined;
  if (!record) return;
  record.used_ms = Date.now();
  await kept.put("charts", record);
  tell();
}

function isOver(start_us: number): void {
  if (record) record.closed_us = Math.max(record.closed_us, start_us);
}

/** Takes what a socket of the page has brought into the chart that is kept. */
function hear(text: string): void {
  if (!record) return;
  const message = JSON.parse(text) as Heard & Fan;
  const { symbol, interval } = record;
  const ours = ({ symbol: of, interval: at }: { symbol: string; interval: string }) => of === symbol && at === interval;
  const prices = [message.last, message.tick, ...(message.ticks ?? [])];
  if (message.symbol === symbol) {
    for (const price of prices) record.tick_us = Math.max(record.tick_us, price?.ts_us ?? 0);
  }
  for (const bar of [message.bar, ...(message.bars ?? [])]) {
    if (bar && ours(bar)) putBar(record.chart.bars, bar);
  }
  if (message.closed && message.bar && ours(message.bar)) isOver(message.bar.start_us);
  if (message.type === "fan" && ours(message)) {
    record.fans[message.model] = message;
    isOver(message.origin_us);
  }
  record.heard_ms = Date.now();
  writing ??= setTimeout(write, WRITE_EVERY_MS);
}

/** The state that is kept of this series and model, and the values since; none where one is missing between. */
async function stateFor({ series, starts, model, values }: Request) {
  const state = series === undefined ? undefined : await kept.get("states", `${series} ${model}`);
  const at = (state && starts?.indexOf(state.origin)) ?? -1;
  return state && at >= 0 ? { bytes: state.bytes, newer: values.slice(at + 1) } : undefined;
}

async function reply(request: Request): Promise<Reply> {
  const { values, model, horizon, levels = [80, 95], season = 1, log = false, calibration = "adaptive" } = request;
  let core: Core;
  try {
    core = await ready;
  } catch (error) {
    return { error: { kind: "unavailable", message: String(error) } };
  }
  try {
    const state = await stateFor(request);
    const series = Float64Array.from(state?.newer ?? values, (value) => value ?? NaN);
    const bands = Float64Array.from(levels);
    const answer = state
      ? core.forecast_by_state(state.bytes, model, series, horizon, bands)
      : core.forecast(series, model, horizon, bands, season, log, calibration);
    return { ...(JSON.parse(answer) as Reply), served: state !== undefined };
  } catch (error) {
    return { error: { kind: "internal", message: String(error) } };
  }
}

self.onmessage = async ({ data }: MessageEvent<string | { keep: Keep } | Request>) => {
  if (typeof data === "string") return hear(data);
  if ("keep" in data) return void keep(data.keep);
  const answer = await reply(data);
  self.postMessage({ id: data.id, ...answer });
  if (answer.error?.kind === "internal") self.close();
};
