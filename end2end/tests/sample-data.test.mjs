// Real prices that come with the project: loaded by a button, charted and forecast.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, canvasIsDrawn, connected, fanOrigin, loadSampleData, numberIn, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const LAST_DAY_US = Date.UTC(2013, 2, 1) * 1000;

scenario("the sample data is imported by a button, charted and forecast in days", {}, async (page) => {
  await page.goto("/");
  await connected(page);
  await page.id("load-sample-data").click();
  await page.waitForURL(/\/s\/AAPL\?.*interval=1d/);
  await connected(page);
  await eventually("the canvas is drawn", () => canvasIsDrawn(page));
  for (const symbol of ["AAPL", "FB", "GOOG", "IBM", "MSFT"]) {
    assert.equal(await page.id(`watch-${symbol}`).count(), 1, symbol);
  }
  assert.equal(await fanOrigin(page), LAST_DAY_US);
  await page.getByText("The numbers").click();
  const forecast = page.id("forecast-table").locator("tbody tr");
  assert.equal(await forecast.count(), 10);
  // The first trading day after Friday, 1 March 2013.
  assert.match(await forecast.first().innerText(), /2013-03-04/);
  assert.equal(await page.id("load-sample-data").count(), 0, "it is not offered twice");
});

scenario("imported prices are forecast by another model when it is chosen", {}, async (page) => {
  await page.goto("/s/MSFT?interval=1d");
  await connected(page);
  await page.getByText("The numbers").click();
  const firstRow = page.id("forecast-table").locator("tbody tr").first();
  const naive = await firstRow.innerText();
  await page.id("model").selectOption("drift");
  await eventually("the forecast is another", async () => (await firstRow.innerText()) !== naive);
  assert.match(await page.id("forecast-table").locator("caption").innerText(), /drift/);
});

// A request of the service worker is none of the page, and could not be answered here.
const pageAsks = { serviceWorkers: "block", complaints: /Service Worker registration blocked/ };
scenario("the watchlist shows the newest price of a symbol that has no ticks", pageAsks, async (page, server) => {
  await loadSampleData(server);
  // As if a bar had come: only the price is another than it was on the page.
  await page.route("**/api/overview", async (route) => {
    const answer = await route.fetch();
    const [status, list] = await answer.json();
    list.rows.find(({ symbol }) => symbol === "IBM").last_price = 1.5;
    await route.fulfill({ json: [status, list] });
  });
  await page.goto("/s/IBM?interval=1d");
  await connected(page);
  const row = page.id("watch-IBM");
  await eventually("the price is the newest", async () => (await numberIn(row.locator(".price"))) === 1.5);
  await eventually("the change goes with it", async () => (await row.locator(".change.down").count()) === 1);
  await page.unrouteAll({ behavior: "wait" });
});
