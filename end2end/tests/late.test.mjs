// A trade that comes late has its place among the bars. The last price is the last trade's.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, numberIn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);

scenario("a trade that comes late gets its bar and does not become the last price", {}, async (page, server) => {
  const start = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  const tick = (second, price) => (
    { symbol: "LATE", ts: new Date(start + second * 1000).toISOString(), seq: second, price, size: 1 });
  // Nothing in the seconds 5 and 7: the late trades' bars will be new ones, which the table shows at once.
  await server.push([0, 1, 2, 3, 4, 6, 8, 9].map((second) => tick(second, 100 + second)));
  await openLive(page, "/s/LATE?interval=1s");
  const places = [page.id("last-price"), page.id("watch-LATE").locator(".price")];
  const price = async () => {
    const shown = [...await Promise.all(places.map(numberIn)), Number((await page.title()).match(/^LATE ([\d.]+)/)[1])];
    return shown.every((one) => one === shown[0]) ? shown[0] : shown;
  };
  // From here on the page has its snapshot, and what is pushed comes as ticks.
  await server.push([tick(10, 110)]);
  await eventually("the price follows", async () => (await price()) === 110);

  await page.getByText("The numbers").click();
  const closes = page.id("chart-table").locator("tbody tr td:nth-of-type(4)");
  const hasBar = (close) => eventually(`there is a bar that closed at ${close}`, async () =>
    (await closes.allInnerTexts()).map(Number).includes(close));
  await server.push([tick(12, 112), tick(5, 55)]);
  await hasBar(55);
  assert.equal(await price(), 112, "of one message");
  await server.push([tick(7, 57)]);
  await hasBar(57);
  assert.equal(await price(), 112, "of a later message");
});
