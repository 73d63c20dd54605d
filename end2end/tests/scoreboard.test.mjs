// The scoreboard: live forecasts over what came, skill and coverage over time.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, connected, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const SERIES = "/scoreboard?symbol=NIMBU&interval=1s&model=drift";

scenario("nothing is said of a series before its forecasts are judged", {}, async (page) => {
  await page.goto("/scoreboard?interval=1d");
  await connected(page);
  await page.locator("nav").getByRole("link", { name: "Scoreboard" }).waitFor();
  await eventually("the symbols are listed", async () => (await page.id("scores-NIMBU").count()) === 1);
  assert.doesNotMatch(await page.id("scores-NIMBU").innerText(), /live, \d/);
  await page.id("scores-NIMBU").getByRole("link").click();
  await page.waitForURL(/symbol=NIMBU/);
  await eventually("its page is there", async () => /NIMBU 1d/.test(await page.locator("h1").innerText()));
});

scenario("forecasts of a second are drawn over what came once they are judged", {}, async (page, server) => {
  // Bars of a second are forecast while somebody looks at them.
  await openLive(page, "/s/NIMBU?interval=1s&horizon=1&model=drift");
  const link = page.getByRole("link", { name: "Scoreboard of this series" });
  await link.waitFor();
  const judged = async () => /interval held/.test(await page.id("scoreboard-words").innerText());
  await eventually("thirty outcomes are in", judged);
  const answer = await fetch(`${server.url}${SERIES}`);
  assert.equal(answer.status, 200);

  await link.click();
  await page.waitForURL(/scoreboard\?symbol=NIMBU&interval=1s/);
  await page.goto(SERIES);
  await connected(page);
  await eventually("the record says how often intervals held", async () =>
    /drift\s+one step ahead\s.*%.*(holds|too wide|too narrow).*live, \d+ outcomes/.test(await page.id("records").innerText()));
  assert.match(await page.id("records").innerText(), /naive\s+one step ahead\s.*yardstick/);
  for (const id of ["forecasts", "skill-over-time", "narrow-over-time", "wide-over-time"]) {
    assert.equal(await page.id(id).locator("svg:visible").count(), 1, id);
  }
  assert.match(await page.id("skill-over-time").locator("svg:visible title").textContent(), /Skill against naive in %/);
  assert.equal(await page.id("coverage-by-step").locator("svg").count(), 1);
  assert.doesNotMatch(await page.id("written").innerText(), /accura/i);
  await page.goto("/scoreboard?interval=1s");
  assert.match(await page.id("scores-NIMBU").innerText(), /live, \d+ outcomes/);
});

scenario("without scripts the drawings are there, and what does not exist is not found", { javaScriptEnabled: false, complaints: /404/ }, async (page) => {
  await page.goto(SERIES);
  assert.equal(await page.id("skill-over-time").locator("svg:visible").count(), 1);
  assert.equal((await page.goto("/scoreboard?symbol=NOBODY")).status(), 404);
  assert.equal((await page.goto("/scoreboard?symbol=%3Cb%3E")).status(), 404);
});

scenario("at 390 pixels nothing of the scoreboard sticks out", telephone, async (page) => {
  for (const path of ["/scoreboard?interval=1s", SERIES]) {
    await page.goto(path);
    await connected(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390), path);
  }
});
