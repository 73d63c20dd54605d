// The page that the server sent comes alive. The harness fails a test whose page complains.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { SIMULATED, canvasIsDrawn, openLive, withServer } from "../harness/scenario.mjs";

const scenario = withServer(SIMULATED);

for (const path of ["/s/NIMBU?interval=1s", "/s/NIMBU?interval=1m", "/s/NIMBU?interval=1h"]) {
  scenario(`${path} hydrates without a word on the console and draws its canvas`, {}, async (page) => {
    await openLive(page, path);
    await eventually("the canvas is drawn", () => canvasIsDrawn(page));
    assert.equal(await page.id("chart-svg").locator("svg:visible").count(), 0, "the picture made way");
  });
}

scenario("a mouse reads the bar that it is on, and none when it has left the chart", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await eventually("the canvas is drawn", () => canvasIsDrawn(page));
  const isRead = async () => /\d{2}:\d{2} UTC/.test(await page.id("chart-reading").innerText());
  await page.id("chart-canvas").hover();
  await eventually("the bar is read", isRead);
  await page.locator("h1").hover();
  await eventually("nothing is read", async () => !(await isRead()));
});

scenario("the browser goes from chart to chart without loading a page", {}, async (page) => {
  await openLive(page, "/s/NIMBU?interval=1m");
  await page.evaluate(() => (window.stayed = true));
  await page.id("watch-SNORK").click();
  await page.waitForURL(/\/s\/SNORK/);
  await eventually("the heading says so", async () => (await page.locator("h1").innerText()) === "SNORK");
  await page.id("interval-5m").click();
  await eventually("5m is chosen", async () => (await page.id("interval-5m").getAttribute("aria-current")) === "true");
  await page.goBack();
  await page.goBack();
  await eventually("back is back", async () => (await page.locator("h1").innerText()) === "NIMBU");
  assert.equal(await page.evaluate(() => window.stayed), true);
});

// Without the answer's status a browser complains of it on the console.
const notFound = { complaints: /status of 404/ };

scenario("a symbol that there is not is said to be none, with a way on", notFound, async (page) => {
  const answer = await page.goto("/s/NOSUCH");
  assert.equal(answer.status(), 404);
  assert.match(await page.id("problem").innerText(), /no such symbol/i);
  await page.id("problem").getByRole("link", { name: "NIMBU" }).click();
  await eventually("the chart is there", async () => (await page.locator("h1").innerText()) === "NIMBU");
});

scenario("the bundle comes compressed, with its types", {}, async (page) => {
  const answers = new Map();
  page.on("response", (answer) => answers.set(new URL(answer.url()).pathname, answer));
  await openLive(page, "/s/NIMBU");
  const types = {
    "/pkg/frontend_bg.wasm": "application/wasm",
    "/pkg/frontend.js": "text/javascript",
    "/main.css": "text/css",
  };
  for (const [path, type] of Object.entries(types)) {
    const headers = await answers.get(path)?.allHeaders();
    assert.ok(headers, `${path} was loaded`);
    assert.equal(headers["content-type"].split(";")[0], type);
    assert.match(headers["content-encoding"] ?? "", /^(br|gzip)$/, path);
  }
});
