// Prices move by themselves, and the forecast follows them.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, fanOrigin, numberIn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);
const SECOND_US = 1_000_000;

scenario("a price changes on screen, in the chart's head and in the watchlist", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  const places = { head: page.id("last-price"), watchlist: page.id("watch-NIMBU").locator(".price") };
  for (const [place, locator] of Object.entries(places)) {
    const before = await numberIn(locator);
    assert.ok(before > 0, `a price in the ${place}`);
    await eventually(`the price in the ${place} changes`, async () => (await numberIn(locator)) !== before);
  }
  assert.match(await page.title(), /^NIMBU [\d,]+\.\d+/);
});

scenario("the fan moves on when a bar closes", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  const origins = [await eventually("there is a fan", () => fanOrigin(page))];
  while (origins.length < 4) {
    const next = await eventually("the fan moves on", async () => {
      const origin = await fanOrigin(page);
      return origin !== origins.at(-1) && origin;
    });
    origins.push(next);
  }
  for (const [at, origin] of origins.entries()) {
    assert.equal(origin % SECOND_US, 0, `${origin} is the start of a bar`);
    assert.ok(at === 0 || origin > origins[at - 1], `${origins} grow`);
  }
});

scenario("the table follows the bars", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  await page.getByText("The numbers").click();
  const latest = page.id("chart-table").locator("tbody tr").first().locator("th");
  const before = await latest.innerText();
  await eventually("a newer bar is first", async () => (await latest.innerText()) > before);
});

scenario("the page says how long a tick takes to the screen", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  await eventually("a latency is shown", async () => /\d\s*ms/.test(await page.id("latency").innerText()));
});

scenario("a chosen horizon is the length of the forecast, and stands in the address", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await page.getByText("The numbers").click();
  await page.id("horizon").selectOption("20");
  await eventually("the forecast has 20 steps", async () =>
    (await page.id("forecast-table").locator("tbody tr").count()) === 20);
  assert.match(page.url(), /horizon=20/);
});

scenario("a chosen theme is kept", { colorScheme: "light" }, async (page) => {
  await openLive(page, "/s/NIMBU");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await eventually("the page is dark", async () => {
    await page.id("theme-toggle").click();
    return (await background()) !== light;
  });
  const dark = await background();
  await page.reload();
  assert.equal(await background(), dark);
});
