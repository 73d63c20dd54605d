// The server goes away; the page goes on forecasting, says who made the fan, and gives the chart back.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { CUT_OFF, NO_SOURCE, connected, fanOrigin, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);

/** Ticks of a price that wanders, one in each of `count` seconds up to now. */
function ticks(symbol, count) {
  const start = Math.floor(Date.now() / 1000) * 1000 - count * 1000;
  let price = 100;
  return Array.from({ length: count }, (_, at) => {
    price += Math.sin(at * at) * 0.2;
    return { symbol, ts: new Date(start + at * 1000).toISOString(), seq: at + 1, price, size: 1 };
  });
}

scenario("without its server the page forecasts the bars on the screen by itself", CUT_OFF, async (page, server) => {
  await server.push(ticks("ALONE", 120));
  const loaded = [];
  page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  page.context().on("requestfinished", (request) => loaded.push(`done ${new URL(request.url()).pathname}`));
  await openLive(page, "/s/ALONE?interval=1s&horizon=10");
  assert.ok(!loaded.includes("/worker/main.js"), "the worker is no part of the first download");
  assert.equal(await page.id("browser-forecast").isVisible(), false, "the server forecasts while it is there");
  await eventually("the worker is at hand", () => loaded.includes("done /worker/forecast_bg.wasm"));

  await server.stop();
  await eventually("the page offers it", () => page.id("browser-forecast").isVisible());
  const note = page.id("browser-forecast-note");
  await page.getByText("The numbers").click();
  const rows = page.id("forecast-table").locator("tbody tr");
  const means = new Set();
  for (const model of ["naive", "theta", "auto-arima"]) {
    await page.id("browser-model").selectOption(model);
    await page.id("browser-forecast").click();
    const made = model === "auto-arima" ? /^Made in this browser by arima\(\d,\d,\d\)/ : new RegExp(`^Made in this browser by ${model}`);
    await eventually(`${model} has forecast`, async () => made.test(await note.innerText()));
    assert.match(await note.innerText(), /from \d+ bars, in \d+\sms; the server has not seen it\.$/);
    assert.match(await page.id("forecast-table").locator("caption").innerText(), new RegExp(model));
    assert.equal(await rows.count(), 10);
    means.add(await rows.last().innerText());
  }
  assert.ok(means.size >= 2, "the models do not all say the same");
  assert.ok((await fanOrigin(page)) > 0);

  await server.begin();
  await connected(page);
  await page.goto("/s/ALONE?interval=1s&horizon=10");
  await connected(page);
  assert.equal(await page.id("browser-forecast").isVisible(), false);
  assert.equal(await note.isVisible(), false, "the chart is the server's again");
});
