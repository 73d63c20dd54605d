// What a browser shows before the wasm arrives, or when it never does.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);
const withoutScripts = { javaScriptEnabled: false };

const picture = (page) => page.id("chart-svg").locator("svg:visible");

/** How many bars the picture says that it shows. */
async function barsInPicture(page) {
  return Number((await picture(page).locator("desc").textContent()).match(/^(\d+) bars/)[1]);
}

/** Opens the address that a newcomer opens, once the server has some prices. */
async function openFirstChart(page) {
  await eventually("the first page is a chart with some bars", async () => {
    await page.goto("/");
    return new URL(page.url()).pathname.startsWith("/s/") && (await barsInPicture(page)) > 30;
  });
}

scenario("a page without scripts shows the chart, the price and the forecast", withoutScripts, async (page) => {
  await openFirstChart(page);
  assert.equal(await picture(page).count(), 1);
  // Shapes of one colour are one path: each bar is a part of one.
  const shapes = await picture(page).locator("path").evaluateAll((paths) =>
    paths.map((path) => path.getAttribute("d").split("M").length - 1).reduce((a, b) => a + b));
  assert.ok(shapes > 60, `${shapes} shapes`);
  const { width, height } = await picture(page).boundingBox();
  assert.ok(width > 400 && height > 150, `the chart is ${width} by ${height}`);
  assert.match(await page.id("last-price").innerText(), /^\d[\d,]*\.\d+$/);
  assert.ok(Number(await page.id("chart").getAttribute("data-origin-us")) > 0, "there is a forecast");
  assert.match(await page.id("simulated-banner").innerText(), /simulated data/i);
});

scenario("a page without scripts says what it does not do, and one with them does not", withoutScripts, async (page) => {
  await openFirstChart(page);
  // A search by text leaves noscript out.
  const notice = page.locator("noscript p");
  assert.ok(await notice.isVisible());
  assert.match(await notice.innerText(), /Scripts are off\..*prices stand still/);
});

scenario("with scripts there is no such notice", {}, async (page) => {
  await page.goto("/s/NIMBU");
  await page.id("connection-state").waitFor();
  // It is a text there, without elements.
  assert.equal(await page.locator("noscript").count(), 1);
  assert.equal(await page.locator("noscript p").count(), 0);
});

scenario("links and the forecast form work without scripts", withoutScripts, async (page) => {
  await openFirstChart(page);
  await page.id("watch-GLOOP").click();
  await page.waitForURL(/\/s\/GLOOP/);
  assert.equal(await page.locator("h1").innerText(), "GLOOP");
  await page.id("interval-1m").click();
  await page.waitForURL(/interval=1m/);
  await page.id("horizon").selectOption("5");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/horizon=5/);
  assert.match(page.url(), /\/s\/GLOOP\?.*interval=1m/);
  assert.equal(await picture(page).count(), 1);
});

scenario("the numbers of the chart stand in a table without scripts", withoutScripts, async (page) => {
  await openFirstChart(page);
  await page.getByText("The numbers").click();
  assert.ok((await page.id("chart-table").locator("tbody tr").count()) > 20);
  assert.equal(await page.id("forecast-table").locator("tbody tr").count(), 10);
});
