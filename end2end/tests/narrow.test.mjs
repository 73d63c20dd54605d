// A telephone: 390 pixels wide.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, canvasIsDrawn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

async function assertNothingSticksOut(page) {
  const { inner, outer, culprits } = await page.evaluate(() => ({
    inner: document.documentElement.scrollWidth,
    outer: window.innerWidth,
    culprits: [...document.querySelectorAll("body *")]
      .filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > 391)
      .map((e) => `${e.tagName}.${e.className}`)
      .slice(0, 5),
  }));
  assert.equal(outer, 390);
  assert.ok(inner <= 390, `${inner} pixels wide: ${culprits}`);
}

scenario("at 390 pixels nothing scrolls sideways and the chart fills the width", telephone, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  await eventually("the canvas is drawn", () => canvasIsDrawn(page));
  await assertNothingSticksOut(page);
  const { width, height } = await page.id("chart").boundingBox();
  assert.ok(width > 330 && height > 180, `the chart is ${width} by ${height}`);
  await page.getByText("The numbers").click();
  await assertNothingSticksOut(page);
});

scenario("at 390 pixels a finger chooses symbol, interval and horizon", telephone, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s");
  await page.id("interval-1m").tap();
  await page.waitForURL(/interval=1m/);
  await page.id("horizon").selectOption("5");
  await page.waitForURL(/horizon=5/);
  await page.id("watch-GLOOP").tap();
  await page.waitForURL(/\/s\/GLOOP/);
  await eventually("the chart is there", async () => (await page.locator("h1").innerText()) === "GLOOP");
  await assertNothingSticksOut(page);
});

scenario("at 390 pixels a tap reads a bar, and the reading stays when the finger is gone", telephone, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await eventually("the canvas is drawn", () => canvasIsDrawn(page));
  const isRead = async () => /\d{2}:\d{2} UTC/.test(await page.id("chart-reading").innerText());
  assert.equal(await isRead(), false);
  await page.id("chart-canvas").evaluate((canvas) =>
    canvas.addEventListener("pointerleave", ({ pointerType }) => (window.gone = pointerType)));
  await page.id("chart-canvas").tap();
  await eventually("the finger is gone", () => page.evaluate(() => window.gone === "touch"));
  await eventually("the bar is read", isRead);
  await page.id("chart").press("Escape");
  await eventually("nothing is read", async () => !(await isRead()));
});

scenario("at 390 pixels the page without scripts shows its narrow picture", { ...telephone, javaScriptEnabled: false }, async (page) => {
  await page.goto("/s/NIMBU?interval=1m");
  assert.equal(await page.id("chart-svg").locator("svg:visible").count(), 1);
  assert.ok((await page.id("chart-svg").locator("svg:visible").boundingBox()).width <= 390);
});
