// The page that shows what programs may ask for, and tries it out.
import assert from "node:assert/strict";

import { NO_SOURCE, loadSampleData, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);

scenario("a forecast can be asked for on the page that describes the API", {}, async (page, server) => {
  await loadSampleData(server);
  await page.goto("/docs");
  const predict = page.locator("#operations-forecasts-predict");
  await predict.getByText("Forecast a stored symbol or a series").click();
  await predict.getByRole("button", { name: "Try it out" }).click();
  await predict.getByRole("button", { name: "Execute" }).click();
  // What the example asks for: five daily steps of a symbol of the sample data.
  const body = predict.locator(".live-responses-table .response-col_description .microlight");
  await body.first().waitFor();
  const answer = JSON.parse(await body.first().innerText());
  assert.equal(answer.mean.length, 5);
  assert.equal(answer.targets_us.length, 5);
});
