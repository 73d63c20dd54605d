// The model of a chart can be chosen, and what its fit found stands below.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, connected, fanOrigin, loadSampleData, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
const AAPL = "/s/AAPL?interval=1d";
const LAST_DAY_US = Date.UTC(2013, 2, 1) * 1000;

const fitModel = (page) => page.id("fit-model").innerText();

/** Opens Apple's daily bars; the first test imports them. */
async function openApple(page, server, query = "") {
  await loadSampleData(server);
  await page.goto(AAPL + query);
  await connected(page);
}

scenario("every model can be chosen, and its fan and its fit are shown", {}, async (page, server) => {
  await openApple(page, server);
  const offered = await page.id("model").locator("option").allInnerTexts();
  for (const model of ["naive", "drift", "snaive", "mean", "ets", "theta", "auto-arima", "garch", "combo", "arima"]) {
    assert.ok(offered.includes(model), `${model} is among ${offered}`);
  }
  assert.match(await fitModel(page), /^Theta/, "the first one is no yardstick");
  for (const [model, name] of [
    ["ets", /^ets chose ETS\(/],
    ["naive", /^Naive/],
    ["theta", /^Theta/],
    ["auto-arima", /^auto-arima chose ARIMA\(\d,\d,\d\)/],
    ["garch", /GARCH\(1,1\)/],
    ["combo", /^Mean of ARIMA/],
  ]) {
    await page.id("model").selectOption(model);
    await page.waitForURL(new RegExp(`model=${model}`));
    await eventually(`the fit is that of ${model}`, async () => name.test(await fitModel(page)));
    assert.equal(await fanOrigin(page), LAST_DAY_US, `${model} has a fan`);
    assert.match(await page.id("coverage").innerText(), new RegExp(model), `the fan is that of ${model}`);
  }
});

scenario("a fit tells its parameters, its criteria and how its residuals look", {}, async (page, server) => {
  await openApple(page, server, "&model=arima(1,1,1)%2Bdrift");
  assert.equal(await fitModel(page), "ARIMA(1,1,1) with drift");
  const parameters = await page.id("fit-params").innerText();
  for (const name of ["ar1", "ma1", "drift", "Std. error"]) assert.ok(parameters.includes(name), `${name}: ${parameters}`);
  const criteria = await page.id("fit-criteria").innerText();
  for (const name of ["σ²", "Log-likelihood", "AIC", "AICc", "BIC"]) assert.ok(criteria.includes(name), `${name}: ${criteria}`);
  assert.equal(await page.id("acf").locator("svg").count(), 1);
  assert.match(await page.id("acf").locator("svg desc").textContent(), /Lags 1 to \d+ from \d+ observations/);
  assert.ok((await page.id("acf-table").locator("tbody tr").count()) >= 20);
  assert.match(await page.id("ljung-box").innerText(), /Ljung–Box over \d+ lags .* p\s[=<]\s0\.\d+\. \w/);
  assert.match(await page.id("fit").innerText(), /Fitted to the logarithms of 500 closes up to 2013-02-\d\d UTC in .*, and updated with the 11 since, up to 2013-03-01 UTC/);
});

scenario("orders can be typed, and wrong ones are explained", { complaints: /status of 422/ }, async (page, server) => {
  await openApple(page, server);
  assert.ok(!(await page.id("orders").isVisible()), "orders are asked for only where there are some");
  await page.id("model").selectOption("arima");
  await page.waitForURL(/model=arima%281%2C1%2C1%29/);
  await eventually("the fit is there", async () => (await fitModel(page)) === "ARIMA(1,1,1)");
  await page.evaluate(() => (window.stayed = true));
  await page.id("orders").fill("0,1,2+drift");
  await page.id("orders").press("Enter");
  await eventually("the other fit is there", async () => (await fitModel(page)) === "ARIMA(0,1,2) with drift");
  assert.equal(await page.evaluate(() => window.stayed), true, "without loading the page anew");
  assert.equal(await page.id("orders").inputValue(), "0,1,2+drift");
  await page.goBack();
  await eventually("one step back is the model before", async () => (await fitModel(page)) === "ARIMA(1,1,1)");
  await page.id("orders").fill("1,2");
  await page.id("orders").press("Enter");
  await eventually("it is explained", async () =>
    /There is no fit: .*arima\(1,2\)/.test(await page.id("fit").innerText()));
  assert.match(await page.id("coverage").innerText(), /No forecast/);
});

scenario("without scripts the fit comes with the page, and orders are a field of the form", { javaScriptEnabled: false }, async (page, server) => {
  await loadSampleData(server);
  await page.goto(AAPL);
  await page.id("model").selectOption("arima");
  await page.id("orders").fill("1,1,0");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/orders=/);
  assert.equal(await fitModel(page), "ARIMA(1,1,0)");
  assert.equal(await page.id("acf").locator("svg:visible").count(), 1);
});
