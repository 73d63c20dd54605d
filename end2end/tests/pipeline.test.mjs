// The Pipeline page: what came in and went out, what was put aside and why, and its replay.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, connected, numberIn, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
// A time further ahead than 5 s is not taken.
const AHEAD_MS = 9_000;

/** Posts rows of which some cannot be used: the server stores the others. */
async function post(server, rows) {
  const answer = await fetch(`${server.url}/api/ticks`, { method: "POST", body: JSON.stringify(rows) });
  return answer.json();
}

const row = (seq, more = {}) => ({ symbol: "ACME", ts_us: Date.now() * 1000, seq, price: 10, size: 1, ...more });
const waiting = async (page, reason) => Number(await page.id(`reason-${reason}`).locator("td").first().innerText());

scenario("the header leads to the pipeline, whose rates follow what comes in", {}, async (page, server) => {
  await page.goto("/");
  await page.getByRole("link", { name: "Pipeline" }).click();
  await page.waitForURL(/\/pipeline$/);
  await connected(page);
  assert.equal(await page.id("pipeline-role").innerText(), "serve");
  assert.match(await page.id("pipeline-missing").innerText(), /everything .* is there/i);
  assert.match(await page.id("pipeline-lag").innerText(), /^\d+$/);
  // The bus has to be asked twice for a rate.
  for (const rate of ["pipeline-published", "pipeline-taken"]) {
    await eventually(`there is a number for ${rate}`, async () =>
      /^\d+\.\d\/s$/.test(await page.id(rate).innerText()),
    );
  }
  const total = page.id("stage-stored").locator("td").nth(1);
  const before = await numberIn(total);
  await post(server, [row(1), row(2), row(2)]);
  await eventually("the page counts two more", async () => (await numberIn(total)) === before + 2);
  await eventually("this page is a live reader", async () => (await numberIn(page.id("pipeline-readers"))) >= 1);
});

scenario("rows that cannot be used are listed by reason with where they came from", {}, async (page, server) => {
  await post(server, [row(10), row(11, { price: -1 }), row(12, { price: "dear" }), row(13, { size: -2 })]);
  await page.goto("/pipeline");
  await connected(page);
  assert.equal(await waiting(page, "bad_price"), 1);
  assert.equal(await waiting(page, "bad_size"), 1);
  await page.id("reason-bad_price").getByRole("link").click();
  await page.waitForURL(/reason=bad_price/);
  await eventually("only they are listed", async () => (await page.id("letter").count()) === 1);
  const letter = await page.id("letter").innerText();
  assert.match(letter, /bad_price/);
  assert.match(letter, /push/);
  assert.match(letter, /"price":\s*-1/);
  await page.id("all-letters").click();
  await eventually("all are listed", async () => (await page.id("letter").count()) === 3);
});

scenario("a replay brings the rows into the store that the rules let pass now", {}, async (page, server) => {
  // Too far ahead of the clock when it came, not any more when it is replayed.
  const early = row(20, { symbol: "EARLY", ts_us: (Date.now() + AHEAD_MS) * 1000 });
  await post(server, [early]);
  await page.goto("/pipeline?reason=future_timestamp");
  await connected(page);
  assert.equal(await waiting(page, "future_timestamp"), 1);
  await eventually("its time has come", () => Date.now() * 1000 > early.ts_us);
  await page.id("replay-future_timestamp").click();
  await page.waitForURL(/replayed=1/);
  assert.match(await page.id("replay-outcome").innerText(), /1 dead letter was replayed/);
  assert.equal(await waiting(page, "future_timestamp"), 0);
  assert.equal(await page.id("watch-EARLY").count(), 1, "its price is on the watchlist");
});

scenario("a replay of rows that are still bad says so", {}, async (page) => {
  await page.goto("/pipeline");
  await connected(page);
  await page.id("replay-bad_price").click();
  await page.waitForURL(/replayed=0/);
  assert.match(await page.id("replay-outcome").innerText(), /nothing could be replayed.* 1 still/i);
});

scenario("without scripts the page shows the same and replays", { javaScriptEnabled: false }, async (page) => {
  await page.goto("/pipeline");
  assert.equal(await waiting(page, "bad_size"), 1);
  assert.ok((await page.id("letter").count()) >= 1);
  assert.ok((await numberIn(page.id("stage-stored").locator("td").nth(1))) >= 1);
  await page.id("replay-all").click();
  await page.waitForURL(/replayed=/);
  assert.match(await page.id("replay-outcome").innerText(), /still cannot be used/);
});

scenario("while the server is away the page says that it is not up to date", { complaints: /./ }, async (page, server) => {
  await page.goto("/pipeline");
  await connected(page);
  await server.stop();
  await eventually("it says so", async () => /not up to date/i.test(await page.id("page-problem").innerText()));
  await server.begin();
  await eventually("it is up to date again", async () => (await page.id("page-problem").innerText()) === "");
  assert.equal(await waiting(page, "bad_size"), 1);
});

scenario("at 390 pixels nothing of the pipeline sticks out", telephone, async (page) => {
  await page.goto("/pipeline");
  await connected(page);
  assert.ok((await page.id("letter").count()) >= 1);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
});
