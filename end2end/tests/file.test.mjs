// A file of the device is read and forecast in the browser, as the command line reads and forecasts it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { promisify } from "node:util";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);
let folder;
before(async () => (folder = await mkdtemp(join(tmpdir(), "tickcast-file-"))));
after(() => rm(folder, { recursive: true, force: true }));

const price = (at) => (100 + Math.sin(at * at) + at * 0.05).toFixed(3);
const days = Array.from({ length: 120 }, (_, at) => new Date(Date.UTC(2025, 0, 1 + at)).toISOString().slice(0, 10));
const german = (day) => day.split("-").toReversed().join(".");
const FILES = {
  "plain.csv": ["Date,Close", ...days.map((day, at) => `${day},${price(at)}`)],
  "semicolons.csv": ["Datum;Close", ...days.map((day, at) => `${german(day)};${Number(price(at)).toFixed(2).replace(".", ",")}`)],
  "two.csv": ["Date,Ticker,Close", ...days.flatMap((day, at) => [`${day},AAA,${price(at)}`, `${day},BBB,${price(at + 7)}`])],
};
const BROKEN = {
  "word.csv": ["Date,Close", ...days.slice(0, 20).map((day, at) => `${day},${at === 11 ? "lots" : price(at)}`)],
  "columns.csv": ["Date,Name", ...days.slice(0, 20).map((day) => `${day},x`)],
  "empty.csv": [],
};

async function put(name, lines) {
  const path = join(folder, name);
  await writeFile(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

/** What the command line makes of the same file. */
function command(path, more = []) {
  const asked = ["forecast", "--model", "auto-arima", "--input", path, "--horizon", "8", "--season", "1", "--format", "json", ...more];
  return promisify(execFile)(process.env.E2E_TICKCAST, asked, { cwd: folder });
}

async function open(page) {
  await page.goto("/file.html");
  await eventually("the page is at work", () => page.locator('html[data-file="ready"]').count());
  await page.id("file-model").selectOption("auto-arima");
  await page.id("file-horizon").fill("8");
}

const shown = async (page) =>
  (await page.id("file-table").locator("tbody tr").allInnerTexts()).map((row) => row.split("\t").map(Number));

/** The rows of the table as the command's answer has them: step, forecast, and each level's bounds. */
function expected({ mean, lower, upper }) {
  const levels = Object.keys(upper).sort((a, b) => a - b);
  return mean.map((value, at) => [at + 1, value, ...levels.flatMap((level) => [lower[level][at], upper[level][at]])]);
}

scenario("files of several kinds give the command line's numbers, without a network too", { complaints: /ERR_INTERNET_DISCONNECTED/ }, async (page) => {
  await open(page);
  await eventually("the service worker has the app's files", () => page.locator('html[data-offline="ready"]').count());
  await page.context().setOffline(true);
  await open(page);
  for (const [name, lines] of Object.entries(FILES)) {
    const path = await put(name, lines);
    const split = name === "two.csv";
    await page.id("file-id").fill(split ? "Ticker" : "");
    await page.id("file").setInputFiles(path);
    await eventually(`${name} is forecast`, async () => (await page.id("file-said").innerText()).startsWith(name) && (await page.id("file-table").count()));
    if (split) {
      assert.deepEqual(await page.id("file-series").locator("option").allInnerTexts(), ["AAA", "BBB"]);
    }
    const { stdout } = await command(path, split ? ["--id", "Ticker"] : []);
    const answer = JSON.parse(stdout.split("\n")[0]);
    const first = Array.isArray(answer) ? answer[0] : answer;
    await eventually(`${name} has the command's numbers`, async () => JSON.stringify(await shown(page)) === JSON.stringify(expected(first)));
  }
  await page.context().setOffline(false);
});

scenario("what cannot be read is refused in the command line's words, with the line", {}, async (page) => {
  await open(page);
  for (const [name, lines] of Object.entries(BROKEN)) {
    const path = await put(name, lines);
    const refused = await command(path).then(() => assert.fail(`${name} was taken`), (error) => error.stderr);
    await page.id("file").setInputFiles(path);
    await eventually(`${name} is refused`, () => page.id("file-problem").isVisible());
    const said = await page.id("file-problem").innerText();
    assert.ok(refused.replaceAll(path, name).includes(said), `${said}\nbeside: ${refused}`);
    if (name === "word.csv") assert.match(said, /line 13/);
    await page.id("file").setInputFiles([]);
  }
});

scenario("a file that was shared with the app is read when it opens", {}, async (page) => {
  await open(page);
  await eventually("the service worker has the app's files", () => page.locator('html[data-offline="ready"]').count());
  const text = FILES["plain.csv"].join("\n");
  await page.evaluate((text) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: "/share", enctype: "multipart/form-data" });
    const input = Object.assign(document.createElement("input"), { type: "file", name: "file" });
    const carried = new DataTransfer();
    carried.items.add(new File([text], "shared prices.csv", { type: "text/csv" }));
    input.files = carried.files;
    form.append(input);
    document.body.append(form);
    form.submit();
  }, text);
  await page.waitForURL(/file\.html\?shared/);
  await eventually("it is forecast", async () => (await page.id("file-said").innerText()).startsWith("shared prices.csv"));
  await eventually("with a table", async () => (await page.id("file-table").locator("tbody tr").count()) === 10);
});
