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

// The service worker answers with 503 what nothing was kept of.
const alone = { complaints: new RegExp(`${CUT_OFF.complaints.source}|status of 503`) };

scenario("without its server the page forecasts the bars on the screen by itself", alone, async (page, server) => {
  await server.push(ticks("ALONE", 120));
  const loaded = [];
  page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  page.context().on("requestfinished", (request) => loaded.push(`done ${new URL(request.url()).pathname}`));
  await openLive(page, "/s/ALONE?interval=1s&horizon=10");
  assert.ok(!loaded.includes("/worker/main.js"), "the worker is no part of the first download");
  await eventually("the worker is at hand", () => loaded.includes("done /worker/forecast_bg.wasm"));

  await server.stop();
  const note = page.id("browser-forecast-note");
  await page.getByText("The numbers").click();
  const rows = page.id("forecast-table").locator("tbody tr");
  const means = new Set();
  for (const model of ["naive", "theta", "auto-arima"]) {
    await page.id("model").selectOption(model);
    const made = model === "auto-arima" ? /^Made in this browser by arima\(\d,\d,\d\)/ : new RegExp(`^Made in this browser by ${model}`);
    await eventually(`${model} has forecast`, async () => made.test(await note.innerText()));
    assert.match(await note.innerText(), /from (the server's state of it|the bars on the screen), in [\d.]+\sms\.$/);
    assert.match(await page.id("forecast-table").locator("caption").innerText(), new RegExp(model));
    assert.ok((await rows.count()) >= 10);
    means.add(await rows.last().innerText());
  }
  assert.ok(means.size >= 2, "the models do not all say the same");
  assert.ok((await fanOrigin(page)) > 0);
  const reaches = await rows.count();
  await eventually("with the clock it reaches further", async () => (await rows.count()) > reaches);

  await server.begin();
  await connected(page);
  await eventually("it has caught up", async () => /^Back online: caught up, 0 bars/.test(await note.innerText()));
  await eventually("the chart is the server's again", async () => (await rows.count()) === 10);
});

scenario("while the server is there both can be asked, and agree to the last bit", {}, async (page, server) => {
  await server.push(ticks("BOTH", 120));
  for (const model of ["naive", "theta", "auto-arima", "ets"]) {
    await openLive(page, `/s/BOTH?interval=1s&horizon=10&model=${model}`);
    const states = page.context().waitForEvent("requestfinished", (request) => request.url().includes(`model=${model}`) && request.url().includes("/state"));
    await states;
    await page.id("browser-forecast").click();
    const note = page.id("browser-forecast-note");
    await eventually(`${model} was asked of both`, async () => /The server took/.test(await note.innerText()));
    assert.match(await note.innerText(), /from the server's state of it, in [\d.]+\sms\. The server took \d+\sms .* The two are the same to the last bit\.$/);
  }
});
