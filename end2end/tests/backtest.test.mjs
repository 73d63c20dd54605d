// Models are tested on the past: chosen in a form, run on the server, followed, stopped, and judged.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, connected, loadSampleData, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const telephone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
// Long enough to be seen running: a thousand fits of four models each.
const LONG = "/backtest?symbol=AAPL&symbol=IBM&interval=1d&model=combo&horizon=5&origins=900&step=1&scale=log&run=1";

const status = (page) => page.id("backtest-status").innerText();

/** How far a run is, in words; nothing when none runs. */
const progress = async (page) => (await page.id("backtest-progress").allInnerTexts()).join();

async function openForm(page, server, query = "") {
  await loadSampleData(server);
  await page.goto(`/backtest${query}`);
  await connected(page);
}

async function finished(page) {
  await eventually("it is done", async () => {
    const text = await status(page);
    assert.doesNotMatch(text, /no result/);
    return text === "Done.";
  });
}

/** How many backtests the server computes. */
async function inFlight(server) {
  return (await (await fetch(`${server.url}/api/pipeline`)).json()).stages.backtests.in_flight;
}

scenario("models chosen in the form are run, measured against naive, and judged in words", {}, async (page, server) => {
  await openForm(page, server);
  await page.id("nav-backtest").waitFor();
  for (const model of ["ets", "theta"]) assert.ok(await page.id(`model-${model}`).isChecked(), `${model} is proposed`);
  await page.id("model-theta").uncheck();
  await page.id("backtest-orders").fill("arima(0,1,1)");
  await page.id("symbol-MSFT").check();
  await page.id("backtest-horizon").fill("3");
  await page.id("backtest-origins").fill("12");
  await page.id("backtest-run").click();
  await page.waitForURL(/symbol=AAPL&symbol=MSFT&.*horizon=3&origins=12/);
  await finished(page);

  assert.match(await page.id("backtest-result").innerText(), /12 origins, 3 bars of 1d apart/);
  assert.match(await page.id("result-all").innerText(), /lower error than naive on \d of 2 symbols/);
  const apple = page.id("result-AAPL");
  const rows = await apple.locator("tbody tr th").allInnerTexts();
  assert.deepEqual(rows, ["ets", "arima(0,1,1)", "naive", "drift", "snaive"]);
  const heads = await apple.locator("thead th").allInnerTexts();
  assert.deepEqual(heads, ["Model", "MASE", "RMSSE", "sMAPE", "Pinball", "CRPS", "Skill", "p", "p, Holm", "Against naive",
    "80 % held", "80 % width", "95 % held", "95 % width", "Failed", "Time"]);
  const ets = await apple.locator("tbody tr").first().locator("td").allInnerTexts();
  assert.equal(ets.length, heads.length - 1);
  assert.ok(ets.every((text) => /\d|better|worse|undecided/.test(text)), `all measured: ${ets}`);
  assert.match(await apple.locator('[data-testid="verdict-ets"]').innerText(),
    /mean absolute error is [\d.]+\s% (below|above) that of naive.*(significant|chance).*too early to say: 12 of 30/);
  assert.match(await apple.locator('[data-testid="verdict-naive"]').innerText(), /the yardstick/);
  assert.match(await apple.locator('[data-testid="backtest-errors"] svg:visible title').textContent(), /Mean absolute error, up to 3 steps ahead/);
  assert.equal(await apple.locator('[data-testid="backtest-coverage"] svg').count(), 5);
  assert.doesNotMatch(await page.id("backtest-result").innerText(), /accuracy/i);
});

scenario("enough origins say whether intervals hold, with bounds and a word", {}, async (page, server) => {
  await openForm(page, server);
  // What is proposed is enough.
  assert.equal(await page.id("backtest-origins").inputValue(), "40");
  await page.id("backtest-run").click();
  await finished(page);
  const words = await page.id("result-AAPL").locator('[data-testid="verdict-theta"]').innerText();
  assert.match(words, /80\s% interval held \d+\s% \(\d+ to \d+\s%\): (holds|too wide|too narrow)/);
  assert.match(await page.id("backtest-season").innerText(), /Season: 5 bars/);
});

scenario("a run tells how far it is and ends when it is cancelled", {}, async (page, server) => {
  await openForm(page, server, LONG.slice("/backtest".length));
  const seen = new Set();
  await eventually("its progress moves", async () => {
    const fits = (await progress(page)).match(/^AAPL: (\d+) of (\d+) fits done(, about \d+ (s|min|h) left)?$/);
    if (fits) {
      assert.equal(Number(fits[2]), 2 * 4 * 900);
      seen.add(fits[1]);
    }
    return seen.size > 2;
  });
  await eventually("it says how long is left", async () => /about \d+ \w+ left$/.test(await progress(page)));
  assert.ok(Number(await page.locator("progress").getAttribute("value")) > 0);
  assert.equal(await inFlight(server), 1);
  await page.id("backtest-cancel").click();
  await eventually("it is cancelled", async () => (await status(page)) === "Cancelled.");
  await eventually("the server has stopped", async () => (await inFlight(server)) === 0);
  assert.equal(await page.id("backtest-result").innerText(), "");
  assert.equal(await page.id("backtest-cancel").count(), 0);
});

// A request of the service worker is none of the page, and could not be answered here.
const pageAsks = { serviceWorkers: "block", complaints: /Service Worker registration blocked/ };
scenario("a run is cancelled though another process behind a load balancer was asked to", pageAsks, async (page, server) => {
  // What a process says that does not have the run.
  await page.route("**/api/stop_backtest", (route) =>
    route.fulfill({ status: 200, contentType: "application/json", body: "false" }),
  );
  await openForm(page, server, LONG.slice("/backtest".length));
  await eventually("it runs", async () => /fits done/.test(await progress(page)));
  await page.id("backtest-cancel").click();
  await eventually("it is cancelled", async () => (await status(page)) === "Cancelled.");
  await eventually("the server has stopped", async () => (await inFlight(server)) === 0);
});

scenario("a run ends on the server when its page is left or closed", {}, async (page, server) => {
  await openForm(page, server, LONG.slice("/backtest".length));
  await eventually("it runs", async () => /fits done/.test(await progress(page)));
  await page.id("watch-IBM").click();
  await page.waitForURL(/\/s\/IBM/);
  await eventually("nobody computes for it", async () => (await inFlight(server)) === 0);
  await page.goto(LONG);
  await eventually("it runs again", async () => (await inFlight(server)) === 1);
  await page.close();
  await eventually("nobody computes for a closed page", async () => (await inFlight(server)) === 0);
});

scenario("what cannot be tested is explained", { complaints: /status of 422/ }, async (page, server) => {
  await openForm(page, server, "?symbol=AAPL&interval=1d&model=arima(1,2)&run=1");
  await eventually("the model is named", async () => /There is no result: models: .*arima\(1,2\)/.test(await status(page)));
  await page.id("backtest-orders").fill("");
  await page.id("model-mean").check();
  assert.match(await page.id("backtest-check").innerText(), /need \d+ closes of 1d\. There are \d+ of AAPL\. The first fit sees \d+/);
  await page.id("backtest-origins").fill("4000");
  await page.id("backtest-origins").blur();
  await eventually("the form says so before it runs", async () =>
    /That is too few: \d+ origins fit\./.test(await page.id("backtest-check").innerText()));
  await page.id("backtest-run").click();
  await eventually("it is not begun", async () =>
    /There is no result: .*AAPL: .*need \d+ observations, got \d+/.test(await status(page)));
});

scenario("an address brings back its choices, also with the back button", {}, async (page, server) => {
  await openForm(page, server, "?symbol=IBM&model=garch&horizon=7&origins=9&window=250&scale=price&interval=1d");
  const shown = async () => ({
    ibm: await page.id("symbol-IBM").isChecked(),
    garch: await page.id("model-garch").isChecked(),
    window: await page.id("backtest-window").inputValue(),
    scale: await page.id("backtest-scale").inputValue(),
  });
  const choices = { ibm: true, garch: true, window: "250", scale: "price" };
  assert.deepEqual(await shown(), choices);
  await page.id("watch-AAPL").click();
  await page.waitForURL(/\/s\/AAPL/);
  await page.goBack();
  await page.id("backtest-form").waitFor();
  assert.deepEqual(await shown(), choices);
});

scenario("the link below a fit leads to the backtest of that model", {}, async (page, server) => {
  await loadSampleData(server);
  await page.goto("/s/GOOG?interval=1d&model=theta");
  await connected(page);
  await page.id("backtest-this").click();
  await page.waitForURL(/\/backtest\?symbol=GOOG&interval=1d&model=theta/);
  await page.id("backtest-form").waitFor();
  assert.ok(await page.id("symbol-GOOG").isChecked());
  assert.ok(await page.id("model-theta").isChecked());
  assert.ok(!(await page.id("model-ets").isChecked()));
});

scenario("the form and the run work from the keyboard", {}, async (page, server) => {
  await openForm(page, server, "?symbol=FB&interval=1d&model=mean&origins=5");
  await page.id("backtest-horizon").focus();
  await page.keyboard.press("Enter");
  await finished(page);
  assert.match(await page.id("result-FB").innerText(), /mean: its mean absolute error/);
});

scenario("without scripts the result comes with the page", { javaScriptEnabled: false }, async (page, server) => {
  await loadSampleData(server);
  await page.goto("/backtest?symbol=AAPL&interval=1d&model=mean&origins=6");
  await page.getByRole("button", { name: "Run" }).click();
  await page.waitForURL(/wait=1/);
  assert.match(await page.id("result-AAPL").innerText(), /mean: its mean absolute error/);
  assert.ok((await page.id("backtest-errors").locator("svg:visible").count()) === 1);
});

scenario("at 390 pixels nothing of a backtest sticks out", telephone, async (page, server) => {
  await openForm(page, server, "?symbol=AAPL&interval=1d&model=mean&origins=6&run=1");
  await finished(page);
  const { wide, culprits } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    culprits: [...document.querySelectorAll("body *")]
      .filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > 391)
      .map((e) => `${e.tagName}.${e.className}`),
  }));
  assert.ok(wide <= 390, `${wide} pixels wide: ${culprits}`);
  assert.ok((await page.id("backtest-errors").locator("svg:visible").boundingBox()).width <= 390);
});
