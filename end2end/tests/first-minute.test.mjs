// What a newcomer sees on a fresh install.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, connected, loadSampleData, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

scenario("the first page says what Tickcast is and shows a forecast by a model beside naive", {}, async (page) => {
  await eventually("there is history", async () => {
    await page.goto("/");
    return (await page.id("forecast-table").locator("tr").count()) > 0;
  });
  await connected(page);
  assert.match(await page.locator(".tagline").innerText(), /^Tickcast forecasts prices as they come/);
  assert.equal(await page.id("model").inputValue(), "theta");
  assert.match(await page.id("coverage").innerText(), /^Forecast by theta, 10 steps ahead/);
});

scenario("a record says no percentage before there are enough outcomes, then bounds and a word", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1s&horizon=1");
  const words = page.id("scoreboard-words");
  await eventually("it is too early", async () => /too early to say: \d+ of 30 outcomes/.test(await words.innerText()));
  assert.doesNotMatch(await words.innerText(), /%/);
  assert.doesNotMatch(await page.id("coverage").innerText(), /%/);
  await eventually("there are enough", async () =>
    /80\s% interval held \d+\s% \(\d+ to \d+\s%\): (holds|too wide|too narrow)/.test(await words.innerText()));
  assert.match(await page.id("coverage").innerText(), /held \d+\s% \(\d+ to \d+\s%\)/);
  const models = await page.id("scoreboard").locator("tbody th").allInnerTexts();
  for (const model of ["naive", "theta"]) assert.ok(models.includes(model), `${model} is judged: ${models}`);
});

scenario("real prices carry no banner and say when they ended", {}, async (page, server) => {
  await loadSampleData(server);
  await openLive(page, "/s/NIMBU?interval=1m");
  await page.id("simulated-banner").waitFor();
  assert.equal(await page.id("standing").isVisible(), false);
  await page.id("watch-AAPL").click();
  await page.waitForURL(/\/s\/AAPL/);
  await eventually("the chart is there", async () => (await page.locator("h1").innerText()) === "AAPL");
  assert.equal(await page.id("simulated-banner").count(), 0);
  assert.equal(await page.id("simulated-source").isVisible(), false);
  assert.equal(await page.id("standing").innerText(), "ended 2013-03-01");
  await eventually("live is only what prices come of", async () =>
    (await page.id("connection-state").innerText()) === "connected");
  assert.match(await page.id("watch-AAPL").innerText(), /ended 2013-03-01/);
  await page.goto("/pipeline");
  assert.ok(await page.id("simulated-source").isVisible(), "the source's prices are made up");
});

for (const [how, options] of [["wide", {}], ["narrow", telephone]]) {
  scenario(`on a ${how} page no heading is empty or stands above nothing`, options, async (page, server) => {
    await loadSampleData(server);
    for (const path of ["/s/NIMBU", "/s/AAPL", "/backtest", "/pipeline", "/pipeline?reason=bad_price"]) {
      await page.goto(path);
      await connected(page);
      // What is shown settles while the page takes up what came live: it is the settled page that is judged.
      let faults;
      await eventually(`${path} has no bare heading and fits`, async () => {
        faults = await page.evaluate(() => {
          const bare = (h) => {
            const around = h.closest("section, article, aside, form") ?? h.parentElement;
            return around.innerText.trim() === h.innerText.trim();
          };
          const headings = [...document.querySelectorAll("h1, h2, h3, h4")]
            .filter((h) => h.checkVisibility())
            .filter((h) => !h.innerText.trim() || bare(h))
            .map((h) => h.outerHTML);
          const over = document.documentElement.scrollWidth - window.innerWidth;
          return over > 0 ? [...headings, `${over} px too wide`] : headings;
        });
        return faults.length === 0;
      }).catch((error) => assert.fail(`${error.message}: ${faults}`));
    }
  });
}

scenario("the defaults of a backtest run, and say that the prices are made up", {}, async (page) => {
  await eventually("there is history to test on", async () => {
    await page.goto("/backtest?symbol=NIMBU");
    return /The first fit sees/.test(await page.id("backtest-check").innerText());
  });
  await connected(page);
  await page.id("backtest-run").click();
  await eventually("it is done", async () => {
    const status = await page.id("backtest-status").innerText();
    assert.doesNotMatch(status, /no result/);
    return status === "Done.";
  });
  assert.match(await page.id("verdict-theta").innerText(), /mean absolute error/);
  assert.match(await page.id("backtest-simulated").innerText(), /the prices of NIMBU are made up/);
});
