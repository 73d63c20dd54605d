// The numbers of a chart: copied with every digit, and filled back beyond what comes with the page.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, loadSampleData, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const mayCopy = { permissions: ["clipboard-read", "clipboard-write"] };
// The most bars that come with the page.
const WITH_PAGE = 480;

/** Presses the button; the rows that are then in the clipboard, as texts. */
async function copied(page) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.id("copy-numbers").click();
  const text = await eventually("something was copied", () =>
    page.evaluate(() => navigator.clipboard.readText()));
  assert.ok(text.endsWith("\n"), text.slice(-80));
  return text.trimEnd().split("\n").map((line) => line.split("\t"));
}

scenario("the copy button takes bars and forecast with every digit", mayCopy, async (page, server) => {
  const start = Date.UTC(2024, 2, 1, 14, 30);
  const prices = [100.123456789, 101.5, 99.75, 100.25, 102, 101];
  await server.push(prices.map((price, i) => (
    { symbol: "ACME", ts: new Date(start + i * 60_000).toISOString(), seq: i, price, size: 2 })));
  await openLive(page, "/s/ACME?interval=1m&horizon=5&model=drift");
  await page.getByText("The numbers").click();
  const [head, ...rows] = await copied(page);
  assert.deepEqual(head.slice(0, 7), ["start", "open", "high", "low", "close", "volume", "forecast"]);
  assert.deepEqual(head.slice(7), ["low_80", "high_80", "low_95", "high_95"]);
  const bars = rows.filter((row) => row[4] !== "");
  assert.deepEqual(bars.map((row) => Number(row[4])), prices);
  assert.match(bars[0][0], /^2024-03-01T14:30:00/);
  assert.equal(bars[0][1], "100.123456789");
  const forecast = rows.slice(bars.length);
  assert.ok(forecast.length >= 4, `${forecast.length} steps`);
  for (const row of forecast) {
    const [mean, low80, high80, low95, high95] = row.slice(6).map(Number);
    assert.ok(low95 < low80 && low80 < mean && mean < high80 && high80 < high95, row.join(" "));
  }
  await page.getByText("Copied as tab-separated values.").waitFor();
});

scenario("what the browser says of copying is waited for, and a refusal is told", {}, async (page, server) => {
  const start = Date.UTC(2024, 2, 1, 14, 30);
  await server.push([7, 8, 7.5, 9, 8, 7].map((price, i) => (
    { symbol: "REFUSED", ts: new Date(start + i * 60_000).toISOString(), seq: i, price, size: 2 })));
  await openLive(page, "/s/REFUSED?interval=1m&horizon=5&model=drift");
  await page.evaluate(() => {
    navigator.clipboard.writeText = () =>
      new Promise((_, reject) => (window.refuse = () => reject(new DOMException("no", "NotAllowedError"))));
  });
  await page.getByText("The numbers").click();
  await page.id("copy-numbers").click();
  await eventually("the browser was asked", () => page.evaluate(() => !!window.refuse));
  assert.equal(await page.id("chart-numbers").getByRole("status").innerText(), "");
  await page.evaluate(() => window.refuse());
  await page.getByText("The browser refused to copy: mark the table instead.").waitFor();
});

scenario("bars beyond those of the page are streamed in after it, each once", mayCopy, async (page, server) => {
  await loadSampleData(server);
  await openLive(page, "/s/IBM?interval=1d&bars=5000");
  await page.getByText("The numbers").click();
  // 2000-03-01 is the first day of the sample.
  const rows = await eventually("the first bar of all is there", async () => {
    const [, ...rows] = await copied(page);
    return rows[0][0].startsWith("2000-03-01") && rows;
  });
  const starts = rows.filter((row) => row[4] !== "").map((row) => row[0]);
  assert.ok(starts.length > 6 * WITH_PAGE, `${starts.length} bars`);
  assert.deepEqual(starts, [...new Set(starts)].sort(), "in order, each once");
  assert.equal(await page.id("chart-table").locator("tbody tr").count(), WITH_PAGE, "the table stays short");
});
