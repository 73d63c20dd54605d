// The service worker: opens the app where its server does not answer.
//
// Model: it keeps the files of one build (their list and the build's name are put in here when the build is made)
// and asks the network first for everything else. A page asks for its files with the build's name, so that a page
// of an older build gets that one's files for as long as it is open, and never the script of one and the wasm of
// another. Without a network a page is the shell, which the app draws itself into, and what the app asks of the
// server is answered from what was kept (frontend/offline/kept.ts).
//
// What it does not do: take over by itself from the one before (the page offers that), or answer anything that
// changes something.
import { latestBars } from "../offline/bars.js";
import { CHANNEL, SHARED, type Chart, type KeptNews, type Overview, type Query } from "../offline/messages.js";
import { Kept, chartRecord, type KeptChart, seriesName } from "../offline/kept.js";

declare const self: ServiceWorkerGlobalScope;
declare const BUILD: string;
declare const FILES: string[];

const PREFIX = "tickcast-";
const CACHE = PREFIX + BUILD;
const SHELL = "/offline.html";
/** A page of its own: it forecasts files of the device. */
const FILE_PAGE = "/file.html";
/** A network that has not answered by then is none: the train is in its tunnel. */
const PATIENCE_MS = 8_000;

/** What is no page of the app's. */
const NO_PAGES = /^\/(login|logout|metrics|healthz|readyz|state|predict|openbb|api|docs)(\/|$)/;
/** What pages are made of beside charts. The newest answer stands in where the very question was not asked. */
const ANSWERS = /^\/api\/(overview|backtest_page|page)$/;

const kept = new Kept();
const news = new BroadcastChannel(CHANNEL);

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(self.skipWaiting());
  if (event.data === "look around") event.waitUntil(dropOldCaches());
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.method === "GET") {
    if (url.pathname === FILE_PAGE) {
      event.respondWith(page(request, FILE_PAGE));
    } else if (request.mode === "navigate") {
      if (!NO_PAGES.test(url.pathname)) event.respondWith(page(request, SHELL));
    } else if (FILES.includes(url.pathname)) {
      event.respondWith(file(request, url));
    }
  } else if (request.method === "POST") {
    if (url.pathname === "/share") event.respondWith(share(request));
    if (url.pathname === "/api/chart") event.respondWith(chart(request));
    else if (ANSWERS.test(url.pathname)) event.respondWith(answer(request, url.pathname));
  }
});

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  // The server has no files of another build: then this fails, and is tried again with the next one.
  await cache.addAll(FILES.map((path) => `${path}?b=${BUILD}`));
}

async function activate(): Promise<void> {
  await dropOldCaches();
  await self.clients.claim();
}

/** Each page holds a lock with its build's name: what nobody holds is of no more use. */
async function dropOldCaches(): Promise<void> {
  // One that waits has a cache that nobody holds yet.
  if (self.registration.waiting || self.registration.installing) return;
  const { held = [] } = await self.navigator.locks.query();
  const used = new Set(held.map((lock) => lock.name));
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE && !used.has(name)) await caches.delete(name);
  }
}

/** A page; where nobody answers, `file` of this build's files in its place. */
async function page(request: Request, file: string): Promise<Response> {
  const shell = async () => (await caches.open(CACHE)).match(`${file}?b=${BUILD}`);
  try {
    const answer = await patiently(fetch(request));
    // What a proxy says whose server is away.
    if (answer.status !== 502 && answer.status !== 504) return answer;
    return (await shell()) ?? answer;
  } catch {
    return (await shell()) ?? Response.error();
  }
}

/** A file from another app (the manifest's `share_target`). */
async function share(request: Request): Promise<Response> {
  const file = (await request.formData()).get("file");
  if (file instanceof File) {
    const named = { [SHARED.name]: encodeURIComponent(file.name) };
    await (await caches.open(SHARED.cache)).put(SHARED.address, new Response(file, { headers: named }));
  }
  return Response.redirect(`${FILE_PAGE}?shared`, 303);
}

async function file(request: Request, url: URL): Promise<Response> {
  // With a build in its address it is found in that one's cache, or in none.
  if (url.searchParams.has("b")) return (await caches.match(request)) ?? fetch(request);
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(request, { ignoreSearch: true })) ?? Response.error();
  }
}

/** What comes from the network, kept; what was kept, where nothing comes. */
async function answer(request: Request, route: string): Promise<Response> {
  const asked = await request.clone().text();
  const key = `${route} ${asked}`;
  // One route has several pages, each of which has its own newest answer.
  const path = route === "/api/page" ? route + (JSON.parse(asked) as { path: string }).path : route;
  try {
    const answer = await patiently(fetch(request));
    if (answer.ok) await keepAnswer(key, path, await answer.clone().text());
    if (answer.status !== 502 && answer.status !== 504) return answer;
  } catch {
    // Below.
  }
  const found =
    (await kept.get("answers", key)) ?? (await kept.all("answers")).find((answer) => answer.path === path);
  if (!found) return unavailable("this page was not kept");
  return json(path === "/api/overview" ? await withHome(found.text) : found.text);
}

/** Without its server the first page goes on to the chart that was looked at last. */
async function withHome(text: string): Promise<string> {
  const [last] = await kept.all("charts");
  if (!last) return text;
  const [status, list] = JSON.parse(text) as Overview;
  return JSON.stringify([status, { ...list, home: last.symbol }]);
}

async function keepAnswer(key: string, path: string, text: string): Promise<void> {
  await kept.put("answers", { key, path, text, used_ms: Date.now() });
  news.postMessage({ durable: kept.durable } satisfies KeptNews);
}

async function chart(request: Request): Promise<Response> {
  const { query } = (await request.clone().json()) as { query: Query };
  try {
    const answer = await patiently(fetch(request));
    if (answer.ok) {
      const chart = (await answer.clone().json()) as Chart;
      const before = await kept.get("charts", seriesName(chart.query.symbol, chart.interval));
      await kept.put("charts", chartRecord(chart, before, Date.now()));
    }
    if (answer.status !== 502 && answer.status !== 504) return answer;
  } catch {
    // Below.
  }
  const record = await chartOf(query);
  if (!record) return unavailable(`nothing was kept of ${query.symbol}`);
  record.used_ms = Date.now();
  await kept.put("charts", record);
  return json(JSON.stringify(shown(record, query, await intervalsOf(query.symbol))));
}

async function chartOf({ symbol, interval }: Query): Promise<KeptChart | undefined> {
  if (interval) return kept.get("charts", seriesName(symbol, interval));
  return (await kept.all("charts")).find((record) => record.symbol === symbol);
}

async function intervalsOf(symbol: string): Promise<string[]> {
  return (await kept.all("charts")).filter((record) => record.symbol === symbol).map((record) => record.interval);
}

/** A kept chart as an answer to `query`. What was written for another model is left out. */
function shown({ chart, fans, closed_us }: KeptChart, query: Query, intervals: string[]): Chart {
  // Of a query that names none, the one that the server chose last.
  const model = query.model || chart.model;
  const fan = fanOf(fans, model);
  const same = chart.model === model;
  return {
    ...chart,
    query,
    model,
    intervals: chart.intervals.filter((interval) => intervals.includes(interval)),
    bars: latestBars(chart.bars, query.bars),
    closed: closed_us,
    fan: fan ? firstSteps(fan, query.horizon) : null,
    fan_problem: fan ? null : "the server is away",
    fit: same ? chart.fit : "",
    record: same ? chart.record : { ...chart.record, past: [], promise: "" },
  };
}

/** The fan of a model; of a champion's, whichever version that was, the newest. */
function fanOf(fans: KeptChart["fans"], model: string): Chart["fan"] {
  if (model !== "champion") return fans[model] ?? null;
  const versions = Object.values(fans).filter((fan) => fan.model.startsWith("models:/"));
  return versions.sort((a, b) => b.origin_us - a.origin_us)[0] ?? null;
}

function firstSteps<F extends NonNullable<Chart["fan"]>>(fan: F, steps: number): F {
  const cut = (values: number[]) => values.slice(0, steps);
  const bands = fan.bands.map(({ level, lower, upper }) => ({ level, lower: cut(lower), upper: cut(upper) }));
  return { ...fan, targets_us: cut(fan.targets_us), mean: cut(fan.mean), bands };
}

function patiently(answer: Promise<Response>): Promise<Response> {
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no answer")), PATIENCE_MS));
  return Promise.race([answer, late]);
}

const json = (body: string, status = 200): Response =>
  new Response(body, { status, headers: { "content-type": "application/json" } });

/** An error as the server writes one (app/src/api/mod.rs, `ApiError`). */
const unavailable = (what: string): Response =>
  json(JSON.stringify({ kind: "unavailable", detail: `the server cannot be reached, and ${what}` }), 503);
