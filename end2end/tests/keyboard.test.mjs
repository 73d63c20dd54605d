// Everything can be reached and used without a pointer.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);

/** The test id, or else the text, of what has the focus. */
const focused = (page) =>
  page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.innerText.trim());

/** Presses Tab until `name` has the focus; returns what had it on the way. */
async function tabTo(page, name) {
  const way = [];
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    way.push(await focused(page));
    if (way.at(-1) === name) return way;
  }
  throw new Error(`Tab does not lead to ${name}: ${way.join(" → ")}`);
}

scenario("Tab leads to the skip link first, then to everything that can be used, in order", {}, async (page) => {
  // The list is as the server had it when the page was asked for: the exchange's past comes symbol by symbol.
  await eventually("every symbol is listed", async () => {
    await openLive(page, "/s/NIMBU?interval=1m");
    return (await page.id("watch-YODEL").count()) === 1;
  });
  const way = await tabTo(page, "chart");
  assert.equal(way[0], "Skip to the chart");
  for (const name of ["theme-toggle", "watch-NIMBU", "watch-YODEL", "interval-1s", "interval-1d", "horizon", "model"]) {
    assert.ok(way.includes(name), `${name} is on the way: ${way}`);
  }
});

scenario("what has the focus is marked", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  for (const name of ["theme-toggle", "watch-NIMBU", "interval-1s", "horizon", "chart"]) {
    await tabTo(page, name);
    const mark = await page.evaluate(() => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
    });
    assert.ok(mark, `${name} shows that it has the focus`);
  }
});

scenario("the skip link goes to the chart", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await eventually("the main part has the focus", () => page.evaluate(() => document.activeElement.id === "main"));
});

scenario("arrow keys read the chart bar by bar, and Escape ends it", {}, async (page) => {
  // Hours: it would be a rare chance that a bar closes while the test reads.
  await openLive(page, "/s/NIMBU?interval=1h");
  await page.id("chart").focus();
  const reading = () => page.id("chart-reading").innerText();
  await page.keyboard.press("End");
  const last = await eventually("the last one is read", reading);
  await page.keyboard.press("ArrowLeft");
  const before = await eventually("the one before is read", async () => {
    const text = await reading();
    return text !== last && text;
  });
  await page.keyboard.press("ArrowRight");
  await eventually("back again", async () => (await reading()) === last);
  await page.keyboard.press("Home");
  await eventually("the first one is read", async () => ![last, before].includes(await reading()));
  await page.keyboard.press("Escape");
  await eventually("nothing is read", async () => !/\d{2}:\d{2}/.test(await reading()));
});

scenario("the chart takes its keys, and leaves the browser its own", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1h");
  await page.id("chart").focus();
  const taken = (key, modifiers) => page.id("chart").evaluate((chart, init) => {
    const event = new KeyboardEvent("keydown", { ...init, bubbles: true, cancelable: true });
    chart.dispatchEvent(event);
    return event.defaultPrevented;
  }, { key, ...modifiers });
  for (const key of ["ArrowLeft", "ArrowRight", "Home", "End"]) {
    assert.equal(await taken(key, {}), true, key);
    for (const modifier of ["altKey", "ctrlKey", "metaKey"]) {
      assert.equal(await taken(key, { [modifier]: true }), false, `${key} with ${modifier}`);
    }
  }
  assert.equal(await taken("ArrowLeft", { shiftKey: true }), true, "Shift goes over ten bars");
});

scenario("Enter on a watchlist entry and on an interval opens the chart", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await tabTo(page, "watch-TWANG");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/s\/TWANG/);
  await eventually("the chart is there", async () => (await page.locator("h1").innerText()) === "TWANG");
  await tabTo(page, "interval-5m");
  await page.keyboard.press("Enter");
  await page.waitForURL(/interval=5m/);
});
