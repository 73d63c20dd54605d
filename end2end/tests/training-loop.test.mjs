// The training loop on its pages: a scheduled training from the queue to the verdict, a refusal in words, a roll-back, a
// worker that was killed.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { CUT_OFF, connected, withServer } from "../harness/scenario.mjs";

// More walks, so many that the queue stands for longer than the two seconds after which a page asks again.
const OTHERS = Array.from("BCDEFGHIJKLM", (letter) => `WALK${letter}`);
const TRAINING = {
  flags: [
    "--source", "none", "--set", `training.symbols=${["EDGE", "WALK", ...OTHERS]}`, "--set", "training.candidates=arima(1,1,0),ets,combo",
    "--set", "training.jobs=1", "--set", "training.lease_ms=6000",
  ],
  first: "/",
};
const scenario = withServer(TRAINING);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const EDGE = "/models?name=close-1d.EDGE";
const DAYS = 700;
const DAY_MS = 86_400_000;

/** Daily closes up to yesterday whose log-returns have this autocorrelation; the same for the same seed. */
function closes(symbol, seed, autocorrelation) {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const today = Math.floor(Date.now() / DAY_MS);
  let [price, step] = [Math.log(100), 0];
  const lines = ["symbol,date,open,high,low,close,volume"];
  for (let day = today - DAYS; day < today; day += 1) {
    step = autocorrelation * step + 0.01 * normal();
    price += step;
    const close = Math.exp(price).toFixed(6);
    lines.push([symbol, new Date(day * DAY_MS).toISOString().slice(0, 10), close, close, close, close, 1].join());
  }
  return `${lines.join("\n")}\n`;
}

/** Cron with seconds and a year: fires once, so many seconds from now. */
function once(seconds) {
  const at = new Date(Date.now() + seconds * 1000);
  const [day, month, year] = [at.getUTCDate(), at.getUTCMonth() + 1, at.getUTCFullYear()];
  return `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} ${day} ${month} * ${year}`;
}

const api = async (server, path) => (await fetch(server.url + path)).json();
const text = (page, id) => page.id(id).innerText();

/** Submits a training on the page, and waits for its end. */
async function train(page, symbol) {
  await page.goto("/training");
  await page.id("train-symbols").fill(symbol);
  await page.id("train-now").click();
  await page.waitForURL(/\/training\?job=\d+/);
  await eventually("it has ended", async () => /succeeded|failed/.test(await text(page, "job-state")));
}

/** Moves the champion by the form of its page. */
async function move(page, version, why) {
  await page.id("champion-version").selectOption(version);
  await page.id("champion-why").fill(why);
  await page.id("move-champion").click();
  await page.waitForURL(/done=|problem=/);
}

scenario("a scheduled training is seen from the queue to the verdict", CUT_OFF, async (page, server) => {
  await page.goto("/training");
  await connected(page);
  assert.match(await text(page, "schedule"), /None: trainings begin by hand/);
  assert.equal(await text(page, "queue-words"), "Nothing runs, and nothing waits.");
  await page.goto("/models");
  assert.match(await text(page, "no-models"), /No round of training has been held yet/);

  await server.stop();
  await server.import("edge.csv", closes("EDGE", 5, 0.6));
  await server.import("walk.csv", closes("WALK", 8, 0));
  for (const [at, name] of OTHERS.entries()) await server.import(`${name}.csv`, closes(name, 20 + at, 0));
  server.flags = [...TRAINING.flags, "--set", `training.schedule=${once(25)}`];
  await server.begin();

  await page.goto("/training");
  await connected(page);
  assert.match(await text(page, "schedule"), /of EDGE, WALK, .*bars of 1d/);
  await eventually("its one fire is shown", async () => /America\/New_York/.test(await text(page, "fires")));
  // Nothing of the page is loaded again: it follows by itself.
  await eventually("one runs and others wait", async () => /[1-9] running, [1-9]\d* waiting/.test(await text(page, "queue-words")));
  assert.match(await text(page, "queue"), /running\s+train \w+ 1d[^]*, attempt 1 of 3\.[^]*queued\s+train \w+ 1d/);
  await eventually("all have ended", async () =>
    (await page.id("history").getByRole("link", { name: /^train / }).count()) === 2 + OTHERS.length);
  assert.equal(await text(page, "queue-words"), "Nothing runs, and nothing waits.");
  const history = await text(page, "history");
  assert.match(history, /train EDGE 1d.*promoted arima\(1,1,0\)/);
  assert.match(history, /train WALK 1d.*refused: naive is served/);

  await page.getByRole("link", { name: "train EDGE 1d" }).click();
  await page.waitForURL(/models\?name=close-1d\.EDGE/);
  await eventually("the verdict is told", async () =>
    /arima\(1,1,0\) becomes the champion of close-1d\.EDGE in the place of naive/.test(await text(page, "verdict")));
  assert.match(await text(page, "served"), /serves version 1, arima\(1,1,0\)/);
  assert.equal(await page.id("leaderboard").locator("tbody tr").count(), 4);
  assert.match(await page.id("leaderboard").locator("tbody tr").first().innerText(), /1\. arima\(1,1,0\)\s+champion\s+\+\d/);
});

scenario("a refusal is explained in words, and nothing calls itself accurate", {}, async (page) => {
  await page.goto("/models");
  await connected(page);
  assert.match(await text(page, "model-close-1d.WALK"), /naive\s+0\s+.*refused: naive is served/);
  await page.id("find-models").fill("walk");
  await page.id("find-models").press("Enter");
  await page.waitForURL(/find=walk/);
  assert.equal(await page.id("models").locator("tbody tr").count(), 1 + OTHERS.length);
  await page.getByRole("link", { name: "close-1d.WALK", exact: true }).click();
  await page.waitForURL(/name=close-1d\.WALK/);
  await eventually("why stands there", async () =>
    /Naive is served for close-1d\.WALK: the candidate .* has not been shown to be better than naive/.test(
      await text(page, "verdict"),
    ));
  const verdict = await text(page, "verdict");
  assert.match(verdict, /held-out origins from \d{4}-\d\d-\d\d to/);
  assert.match(verdict, /Diebold–Mariano/);
  assert.match(await text(page, "served"), /There is no champion: naive is served/);
  assert.match(await text(page, "tries"), /Tries this year: 3/);
  assert.doesNotMatch(await page.id("written").innerText(), /accura/i);
});

scenario("a training submitted on the page makes a version, and a roll-back is proven by what is served", {}, async (page, server) => {
  await train(page, "edge");
  assert.match(await text(page, "job-state"), /succeeded kept arima\(1,1,0\), fitted anew/);
  assert.match(await text(page, "log"), /arima\(1,1,0\): MASE/);
  assert.match(await text(page, "job-verdict"), /arima\(1,1,0\)/);
  await page.id("job-model").click();
  await page.waitForURL(/name=close-1d\.EDGE/);
  await eventually("version 2 is served", async () => /serves version 2/.test(await text(page, "served")));

  await page.id("compare").click();
  await page.waitForURL(/a=1&b=2/);
  const differences = await text(page, "differences");
  assert.match(differences, /^job\s/m);
  assert.doesNotMatch(differences, /^(model|seed|program)\s/m);
  await page.id("lineage-1").locator("summary").click();
  assert.match(await text(page, "lineage-1"), /SHA-256 of the closes\s+[0-9a-f]{64}/);

  await page.goto(EDGE);
  await connected(page);
  assert.equal(await page.id("champion-version").inputValue(), "1", "what was champion before is proposed");
  await move(page, "1", "the second one learnt a bad day");
  assert.match(await text(page, "outcome"), /was changed, and is served/);
  assert.match(await text(page, "served"), /serves version 1/);
  const champions = page.id("champions").locator("tbody tr");
  assert.match(await champions.first().innerText(), /version 1\s.*now.*the second one learnt a bad day/);
  assert.match(await champions.nth(1).innerText(), /version 2\s/);
  const forecast = { symbol: "EDGE", interval: "1d", horizon: 1, model: "models:/close-1d.EDGE@champion" };
  const answer = await fetch(`${server.url}/predict`, { method: "POST", body: JSON.stringify(forecast), headers: { "content-type": "application/json" } });
  assert.match(JSON.stringify(await answer.json()), /models:\/close-1d\.EDGE\/1/, "the version that answered");
  const audit = await api(server, "/api/audit");
  assert.ok(audit.entries.some((entry) => entry.act === "promotion" && entry.what.version === 1));

  await page.id("at").fill("2020-01-01");
  await page.id("at").press("Enter");
  await page.waitForURL(/at=2020-01-01/);
  assert.match(await text(page, "champion-at"), /there was no champion/);
});

scenario("without scripts the pages say the same, and their forms work", { javaScriptEnabled: false }, async (page) => {
  await page.goto(EDGE);
  assert.match(await text(page, "served"), /serves version 1/);
  await page.id("archive-why").fill("not needed");
  await page.id("archive").click();
  await page.waitForURL(/done=archived/);
  assert.match(await text(page, "version-2"), /archived/);
  await page.id("take-back-why").fill("needed after all");
  await page.id("take-back").click();
  await page.waitForURL(/done=taken-back/);
  await move(page, "2", "it was no bad day");
  assert.match(await text(page, "served"), /serves version 2/);
  await page.goto("/training");
  assert.match(await text(page, "history"), /train EDGE 1d/);
  await page.goto("/s/EDGE?interval=1d&model=naive");
  const band = page.id("chart-svg").locator("svg:visible text", { hasText: "arima(1,1,0)" });
  assert.equal(await band.count(), 1, "the chart says who was champion");
});

scenario("a schedule is tried before it is kept, on the reader's clock and on the exchange's", {}, async (page) => {
  await page.goto("/training");
  await connected(page);
  await page.id("try-schedule").fill("XLON close +20m");
  await page.id("try-schedule").press("Enter");
  await page.waitForURL(/schedule=XLON/);
  const fires = page.id("tried");
  await eventually("the reader's clock is there", async () =>
    (await fires.locator("thead").innerText()).match(/America\/New_York\s+Europe\/London/));
  assert.equal(await fires.locator("tbody tr").count(), 10);
  await page.goto("/training?schedule=0+0+30+2+*");
  assert.match(await text(page, "tried"), /There is no fire to come/);
});

scenario("a link that was forged puts no words into a page, and what does not exist is not found", { complaints: /404/ }, async (page) => {
  await page.goto("/training?done=%3Cb%3Eyou%20won&problem=x");
  assert.equal(await page.id("outcome").count(), 0);
  assert.equal((await page.goto("/models?name=close-1d.NOBODY")).status(), 404);
  assert.match(await page.getByRole("alert").innerText(), /there is no model close-1d\.NOBODY/);
  assert.equal((await page.goto("/training?job=999999")).status(), 404);
});

scenario("everything on a model's page is reached by Tab, and a form is sent by Enter", {}, async (page) => {
  await page.goto(EDGE);
  await connected(page);
  const reached = new Set();
  for (let presses = 0; presses < 90; presses += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.dataset.testid));
  }
  for (const id of ["compare", "champion-version", "champion-why", "move-champion", "at"]) {
    assert.ok(reached.has(id), `${id} is reached: ${[...reached]}`);
  }
  await page.id("champion-version").selectOption("1");
  await page.id("champion-why").fill("by the keyboard");
  await page.id("champion-why").press("Enter");
  await page.waitForURL(/done=moved/);
  assert.match(await text(page, "served"), /serves version 1/);
});

scenario("what is typed stays while the page is brought up to date", {}, async (page) => {
  await page.goto("/training");
  await connected(page);
  await page.id("train-symbols").fill("EDG");
  const asked = page.waitForResponse(/api\/page/);
  await asked;
  await page.waitForResponse(/api\/page/);
  assert.equal(await page.id("train-symbols").inputValue(), "EDG");
});

scenario("at 390 pixels nothing of the loop's pages sticks out", telephone, async (page) => {
  for (const path of ["/models", EDGE, `${EDGE}&a=1&b=2`, "/training", "/training?job=1"]) {
    await page.goto(path);
    await connected(page);
    const { wide, culprits } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      culprits: [...document.querySelectorAll("body *")]
        .filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > 391)
        .map((e) => `${e.tagName}.${e.className}`),
    }));
    assert.ok(wide <= 390, `${path} is ${wide} pixels wide: ${culprits}`);
  }
});

scenario("a training whose worker is killed is taken by the next one, and the page says why", CUT_OFF, async (page, server) => {
  await server.stop();
  // A schedule that has fired its last time is none to start with. Two at a time: between two jobs of one worker there
  // is a moment at which a kill hits none.
  server.flags = [...TRAINING.flags, "--set", "training.jobs=2"];
  await server.begin();
  await page.goto("/training");
  await page.id("train-symbols").fill(OTHERS.join());
  await page.id("train-now").click();
  await page.waitForURL(/done=|job=/);
  await eventually("some run", async () => (await api(server, "/api/jobs?state=running")).length > 0);
  await server.kill();
  await server.begin();
  const lost = await eventually("a lease is over", async () => (await api(server, "/api/jobs")).find((job) => job.lost_leases > 0));
  await page.goto(`/training?job=${lost.id}`);
  await eventually("it has ended", async () => /succeeded/.test(await text(page, "job-state")));
  assert.match(await text(page, "lost-leases"), /Lost once: its worker was not heard of for 6 s/);
});

scenario("once there is a token, a promotion leads to the login page", {}, async (page, server) => {
  const token = await server.newToken("write");
  await page.goto(EDGE);
  await connected(page);
  await page.id("champion-why").fill("may I?");
  await page.id("move-champion").click();
  await page.waitForURL(/\/login\?next=\/models/);
  await page.id("token").fill(token);
  await page.id("token").press("Enter");
  await page.waitForURL(/\/models\?name=close-1d\.EDGE/);
  // Whoever may write may train, and not decide who is served.
  await page.goto("/training");
  await page.id("train-symbols").fill("WALK");
  await page.id("train-now").click();
  await page.waitForURL(/\/training\?job=\d+/);
});
