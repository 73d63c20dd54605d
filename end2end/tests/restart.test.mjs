// The server goes away and comes back; the page goes on where it was.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { CUT_OFF, NO_SOURCE, connected, isConnected, numberIn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);

let clock = Date.now() - 60_000;

/** Ticks with the sequences `from` to `to`, a second apart, at a price of a hundred and the sequence. */
function ticks(symbol, from, to) {
  const all = [];
  for (let seq = from; seq <= to; seq += 1) {
    clock += 1000;
    all.push({ symbol, ts: new Date(clock).toISOString(), seq, price: 100 + seq, size: 1 });
  }
  return all;
}

/**
 * Keeps the sequence of every tick that the page is sent, over all its connections, and the symbols
 * that it has been given a snapshot of.
 */
function watchFeed(page) {
  const feed = { ticks: [], snapshots: new Set() };
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.type === "ticks") feed.ticks.push(...message.ticks.map((tick) => tick.seq));
      if (message.type === "snapshot") feed.snapshots.add(message.symbol);
    }));
  return feed;
}

async function showsPrice(page, price) {
  await eventually(`the price is ${price}`, async () => (await numberIn(page.id("last-price"))) === price);
}

for (const [end, how] of [["kill", "was killed"], ["stop", "was stopped"]]) {
  scenario(`a page goes on without a gap or a repeat after the server ${how}`, CUT_OFF, async (page, server) => {
    const symbol = end.toUpperCase();
    const feed = watchFeed(page);
    await server.push(ticks(symbol, 1, 3));
    // Three bars are enough for naive.
    await openLive(page, `/s/${symbol}?interval=1s&model=naive`);
    await showsPrice(page, 103);
    // A page is live from the server's greeting on. What is pushed before its subscription has
    // arrived would reach it inside the snapshot, not as ticks.
    await eventually("the page has its snapshot", () => feed.snapshots.has(symbol));
    await server.push(ticks(symbol, 4, 6));
    await showsPrice(page, 106);

    await server[end]();
    await eventually("the page sees it", async () => !(await isConnected(page)));
    await server.begin();
    await server.push(ticks(symbol, 7, 9));
    await connected(page);
    await showsPrice(page, 109);
    await server.push(ticks(symbol, 10, 12));
    await showsPrice(page, 112);

    assert.deepEqual(feed.ticks, [4, 5, 6, 7, 8, 9, 10, 11, 12]);
    await page.getByText("The numbers").click();
    const closes = page.id("chart-table").locator("tbody tr td:nth-of-type(4)");
    await eventually("the table has every bar", async () => (await closes.count()) === 12);
    assert.deepEqual(
      (await closes.allInnerTexts()).map(Number),
      [112, 111, 110, 109, 108, 107, 106, 105, 104, 103, 102, 101],
    );
  });
}
