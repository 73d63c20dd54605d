// Without a network: every page opens again, the chart with what was kept of it; and what a newer build does.
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "../harness/eventually.mjs";
import { CUT_OFF, NO_SOURCE, canvasIsDrawn, connected, fanOrigin, numberIn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const offline = {
  ...CUT_OFF,
  complaints: /WebSocket|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|ERR_FAILED|ERR_EMPTY|Failed to fetch|status of 50[34]/,
};

let clock;

/** Ticks with the sequences `from` to `to`, a second apart; the first of a symbol two minutes and a half ago. */
function ticks(symbol, from, to) {
  if (from === 1) clock = Date.now() - 150_000;
  const all = [];
  for (let seq = from; seq <= to; seq += 1) {
    clock += 1000;
    all.push({ symbol, ts: new Date(clock).toISOString(), seq, price: 100 + Math.sin(seq * seq), size: 1 });
  }
  return all;
}

const chart = (symbol, model = "theta") => `/s/${symbol}?interval=1s&horizon=10&model=${model}`;

/** Opens a chart, and waits until all that it needs without a network is kept. */
async function openKept(page, server, symbol) {
  const requests = [];
  page.context().on("requestfinished", (request) => requests.push(new URL(request.url()).pathname));
  await server.push(ticks(symbol, 1, 120));
  await openLive(page, chart(symbol));
  const root = page.locator("html");
  await eventually("the service worker has the build's files", async () => (await root.getAttribute("data-offline")) === "ready");
  await eventually("the pages' answers are there", () => requests.filter((path) => path === "/api/page").length >= 4);
  await eventually("the states are kept", () => requests.filter((path) => path === "/state").length >= 3);
  await eventually("it says that they last", async () => (await root.getAttribute("data-kept")) === "durable");
}

const closes = (page) => page.id("chart-table").locator("tbody tr td:nth-of-type(4)");

scenario("a chart opens again without its server, says since when, and forecasts as the server did", offline, async (page, server) => {
  await openKept(page, server, "TRAIN");
  await server.push(ticks("TRAIN", 121, 125));
  await page.getByText("The numbers").click();
  await eventually("the table has every bar", async () => (await closes(page).count()) >= 120);
  const shown = await closes(page).allInnerTexts();
  const means = await page.id("forecast-table").locator("tbody tr").allInnerTexts();
  const origin = await fanOrigin(page);
  // What was heard last is written once a second.
  await page.waitForTimeout(2_000);

  await server.stop();
  await page.reload();
  await eventually("the chart is drawn", () => canvasIsDrawn(page));
  assert.equal(await page.locator("html").getAttribute("data-shell"), "", "the page is the browser's own");
  await page.getByText("The numbers").click();
  assert.deepEqual(await closes(page).allInnerTexts(), shown, "with the bars that had come live");
  await eventually("the page says that it is offline", () => page.id("offline-note").isVisible());
  const last = new Date(clock).toISOString().slice(11, 19);
  assert.match(await page.id("offline-note").innerText(), new RegExp(`^Offline since \\d\\d:\\d\\d:\\d\\d UTC\\. The last price of TRAIN came at ${last} UTC\\.$`));
  const note = page.id("browser-forecast-note");
  await eventually("the browser forecasts", async () => /by theta.* from the server's state of it/.test(await note.innerText()));
  assert.equal(await fanOrigin(page), origin, "from the bar that the server forecast from");
  const rows = await page.id("forecast-table").locator("tbody tr").allInnerTexts();
  assert.deepEqual(rows.slice(0, means.length), means, "the numbers that the server gave");
  assert.ok(rows.length > means.length, "and as far ahead of now");

  await server.begin();
  await server.push(ticks("TRAIN", 126, 130));
  await connected(page);
  await eventually("it says how far it has caught up", async () => /^Back online: caught up, 5 bars/.test(await note.innerText()));
  await eventually("no bar is missing", async () => (await closes(page).count()) === shown.length + 5 || (await closes(page).count()) === 120);
  await eventually("it is offline no more", async () => !(await page.id("offline-note").isVisible()));
});

scenario("every page opens without a network, from a symbol's to the first one", offline, async (page, server) => {
  await openKept(page, server, "PAGES");
  await page.context().setOffline(true);
  for (const [path, text] of [
    ["/", "PAGES"],
    ["/s/PAGES", "PAGES"],
    ["/backtest", "Backtest"],
    ["/pipeline", "Pipeline"],
    ["/models", "Models"],
    ["/training", "Training"],
    ["/scoreboard", "Scoreboard"],
  ]) {
    await page.goto(path);
    await eventually(`${path} has its heading`, async () => (await page.locator("main h1").innerText({ timeout: 60_000 })).includes(text));
    await eventually(`${path} says that it is offline`, () => page.id("offline-note").isVisible());
  }
  await page.goto("/s/NEVERSEEN");
  await eventually("it says what was not kept", async () => /nothing was kept of NEVERSEEN/.test(await page.locator("main").innerText()));
  await page.context().setOffline(false);
});

scenario("another model is chosen without a network, and the chart stays", offline, async (page, server) => {
  await openKept(page, server, "MODEL");
  await page.context().setOffline(true);
  const note = page.id("browser-forecast-note");
  await eventually("it forecasts by itself", async () => /^Made in this browser by theta/i.test(await note.innerText()));
  assert.equal(await page.locator("select").filter({ has: page.locator("option", { hasText: "naive" }) }).count(), 1, "one picker of models");
  await page.id("model").selectOption("auto-arima");
  await eventually("it forecasts by the other", async () => /^Made in this browser by arima\(/.test(await note.innerText()));
  assert.equal(await canvasIsDrawn(page), true);
  assert.match(await page.id("coverage").innerText(), /Forecast by auto-arima/);
  await page.context().setOffline(false);
  await connected(page);
});

scenario("a browser without room for it says that nothing is kept", offline, async (page, server) => {
  await server.push(ticks("FULL", 1, 60));
  const session = await page.context().newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: 1 });
  await openLive(page, chart("FULL"));
  await eventually("the worker has tried", async () => (await page.locator("html").getAttribute("data-kept")) === "memory");
  await page.context().setOffline(true);
  await eventually("the page says so", async () => /keeps nothing for later/.test(await page.id("offline-note").innerText().catch(() => "")));
  assert.equal(await canvasIsDrawn(page), true);
  await page.context().setOffline(false);
});

/** A copy of the front end under another build's name. */
async function anotherBuild(from, name) {
  const to = join(tmpdir(), `tickcast-site-${process.pid}`);
  await cp(from, to, { recursive: true });
  const old = (await readFile(join(from, "build.txt"), "utf8")).trim();
  for (const entry of await readdir(to, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (/\.(br|gz)$/.test(entry.name)) await rm(path);
    else if (["build.txt", "sw.js", "offline.html", "file.html"].includes(entry.name)) {
      await writeFile(path, (await readFile(path, "utf8")).replaceAll(old, name));
    }
  }
  return to;
}

scenario("a newer build is offered, and taken when it is asked for", offline, async (page, server) => {
  await openKept(page, server, "BUILD");
  const build = () => page.locator("html").getAttribute("data-build");
  const caches = () => page.evaluate(async () => (await globalThis.caches.keys()).toSorted());
  const first = await build();
  assert.deepEqual(await caches(), [`tickcast-${first}`]);
  const other = await page.context().newPage();
  await other.goto("/pipeline");
  await eventually("the other page holds its build", () =>
    other.evaluate(async () => (await navigator.locks.query()).held.some((lock) => lock.name.startsWith("tickcast-"))));

  const site = await anotherBuild(process.env.E2E_SITE, "newer0newer0newe");
  try {
    await server.stop();
    server.site = site;
    await server.begin();
    await connected(page);
    await page.evaluate(() => navigator.serviceWorker.getRegistration().then((found) => found.update()));
    await eventually("the page offers it", () => page.locator('[data-testid="update-reload"]').isVisible());
    assert.equal(await build(), first, "and does nothing by itself");
    await page.locator('[data-testid="update-reload"]').click();
    await eventually("the page is the newer one", async () => (await build().catch(() => "")) === "newer0newer0newe");
    await connected(page);
    assert.ok((await caches()).includes(`tickcast-${first}`), "a page of the older build is open: its files are kept");
    await other.close();
    await eventually("they go when nobody uses them", async () => {
      await page.evaluate(() => navigator.serviceWorker.controller?.postMessage("look around"));
      return (await caches()).join() === "tickcast-newer0newer0newe";
    });
  } finally {
    await server.stop();
    server.site = undefined;
    await server.begin();
    await rm(site, { recursive: true });
  }
});

scenario("what makes the page open offline is fetched again when the server was away just then", offline, async (page, server) => {
  await server.push(ticks("LATER", 1, 120));
  await page.goto(chart("LATER"));
  await connected(page);
  // The page asks for it two seconds after it has loaded.
  await server.stop();
  await page.waitForTimeout(3_000);
  assert.equal(await page.id("app-bar").count(), 0, "it has not come");
  await server.begin();
  const root = page.locator("html");
  await eventually("it has come", async () => (await root.getAttribute("data-offline")) === "ready");
});
