// More symbols than anybody reads: a page of them is listed, the rest is found.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, connected, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const SYMBOLS = 300;
let pushed = false;

/** Pushes a tick of each symbol; once is enough. */
async function someSymbols(server) {
  if (pushed) return;
  pushed = true;
  const ts = new Date(Date.now() - 60_000).toISOString();
  const ticks = Array.from({ length: SYMBOLS }, (_, at) => (
    { symbol: `S${String(at).padStart(3, "0")}`, ts, seq: 1, price: 10 + at, size: 1 }));
  await server.push([...ticks, { symbol: "ZETA", ts, seq: 1, price: 7, size: 1 }]);
}

const rows = async (page) =>
  (await page.id("watchlist").locator("a .symbol").allInnerTexts()).map((text) => text.trim());

scenario("a page lists some symbols, the rest is found by typing and opened by Enter", {}, async (page, server) => {
  await someSymbols(server);
  await page.goto("/s/S000");
  await connected(page);
  assert.equal((await rows(page)).length, 50);
  await page.id("find-symbol").focus();
  await page.keyboard.type("s12");
  await eventually("those that begin so are listed, below the one shown", async () =>
    (await rows(page)).join() === ["S000", ...Array.from({ length: 10 }, (_, n) => `S12${n}`)].join());
  await page.id("find-symbol").fill("eta");
  await eventually("one that holds it is listed", async () => (await rows(page)).join() === "S000,ZETA");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/s\/ZETA/);
  await eventually("its chart is there", async () => (await page.locator("h1").innerText()) === "ZETA");
  assert.equal(await page.id("watch-ZETA").getAttribute("aria-current"), "page");
});

scenario("Tab leads from the search to what was found", {}, async (page, server) => {
  await someSymbols(server);
  await page.goto("/s/S000");
  await connected(page);
  await page.id("find-symbol").fill("zeta");
  await eventually("it is found", async () => (await rows(page)).includes("ZETA"));
  const way = [];
  while (way.at(-1) !== "watch-ZETA" && way.length < 5) {
    await page.keyboard.press("Tab");
    way.push(await page.evaluate(() => document.activeElement.dataset.testid));
  }
  assert.equal(way.at(-1), "watch-ZETA", `${way}`);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/s\/ZETA/);
});

scenario("pages of symbols follow each other and come back to the first", {}, async (page, server) => {
  await someSymbols(server);
  await page.goto("/s/S000");
  await connected(page);
  const seen = new Set(await rows(page));
  for (let turns = 0; turns < 6; turns += 1) {
    const before = await rows(page);
    await page.id("more-symbols").click();
    await eventually("another page", async () => (await rows(page)).join() !== before.join());
    for (const symbol of await rows(page)) seen.add(symbol);
  }
  assert.equal(seen.size, SYMBOLS + 1);
  assert.equal(await page.id("more-symbols").innerText(), "First");
  await page.id("more-symbols").click();
  await eventually("the first page", async () => (await rows(page))[1] === "S001");
});

scenario("the form of a backtest finds symbols and keeps what is chosen", {}, async (page, server) => {
  await someSymbols(server);
  await page.goto("/backtest?symbol=S001");
  await connected(page);
  await page.id("symbol-S003").check();
  await page.id("backtest-find").fill("zeta");
  await page.keyboard.press("Enter");
  await page.waitForURL(/find_symbol=zeta/);
  await page.id("symbol-ZETA").waitFor();
  for (const symbol of ["S001", "S003"]) assert.ok(await page.id(`symbol-${symbol}`).isChecked(), symbol);
  await page.id("symbol-ZETA").check();
  assert.ok((await page.locator("[name=symbol]:not([type=hidden])").count()) <= 26);
});

scenario("without scripts the list is searched and turned over too", { javaScriptEnabled: false }, async (page, server) => {
  await someSymbols(server);
  await page.goto("/s/S000");
  await page.id("find-symbol").fill("s29");
  await page.getByRole("button", { name: "Find" }).click();
  await page.waitForURL(/find=s29/);
  assert.equal((await rows(page)).length, 11);
  await page.goto("/s/S000");
  await page.getByRole("button", { name: "Next" }).click();
  await page.waitForURL(/after=/);
  assert.deepEqual((await rows(page)).slice(0, 2), ["S000", "S050"]);
});

scenario("at 390 pixels the search fits", telephone, async (page, server) => {
  await someSymbols(server);
  await page.goto("/s/S000");
  await connected(page);
  assert.ok(await page.id("find-symbol").isVisible());
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
});
