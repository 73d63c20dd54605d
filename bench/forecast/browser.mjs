// The worker in a real Chromium: how large its download is, and how its auto-arima compares with the
// native one on the same series, in turns on one machine.
//   node browser.mjs SERIES        after scripts/build-web and the example `many`; see `run`
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { startBrowser } from "../../end2end/harness/browser.mjs";

const WORKER = fileURLToPath(new URL("../../dist/worker", import.meta.url));
const FILES = ["main.js", "forecast.js", "forecast_bg.wasm"];
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const MODEL = "auto-arima";
const HORIZON = 10;
// Every twentieth of 200: ten series, over all four firms.
const EVERY = 20;
const REPEATS = 9;

const figure = (name, value, unit, goal) =>
  console.log(`${name.padEnd(58)} ${value.padStart(12)} ${unit.padEnd(10)} goal: ${goal}`);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

// What is too small to be worth it has no compressed copy.
const size = (path) => statSync(existsSync(`${path}.br`) ? `${path}.br` : path).size;
const bytes = FILES.map((name) => size(join(WORKER, name))).reduce((sum, size) => sum + size);
figure("forecasting worker, wasm and scripts, brotli", (bytes / 1024).toFixed(1), "KB", "<= 120");

const [path] = process.argv.slice(2);
const lines = readFileSync(path, "utf8").trim().split("\n").filter((_, at) => at % EVERY === 0);
const sample = join(WORKER, "..", "..", "bench", "forecast", ".series", "browser.txt");
writeFileSync(sample, `${lines.join("\n")}\n`);

/** Median seconds of each series' fit and forecast, one after the other, natively. */
function native() {
  const given = [sample, MODEL, String(HORIZON), String(REPEATS)];
  const out = execFileSync(join(process.env.BENCH_EXAMPLES, "many"), given, {
    env: { ...process.env, RAYON_NUM_THREADS: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return out.toString().trim().split("\n").map((line) => JSON.parse(line).seconds);
}

const files = createServer((request, answer) => {
  const name = request.url.slice("/worker/".length);
  const known = FILES.includes(name);
  answer.setHeader("content-type", TYPES[known ? extname(name) : ".html"]);
  answer.end(known ? readFileSync(join(WORKER, name)) : "<!doctype html><title>bench</title>");
});
await new Promise((resolve) => files.listen(0, "127.0.0.1", resolve));
const browser = await startBrowser();
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  const series = lines.map((line) => line.split(",").slice(2).map(Number));
  const { firstMs, seconds } = await page.evaluate(
    async ({ series, model, horizon, repeats }) => {
      const began = performance.now();
      const worker = new Worker("/worker/main.js", { type: "module" });
      const ask = (values) =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error.message)) : resolve(data.answer));
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage({ values, model, horizon, levels: [95] });
        });
      await ask(series[0]);
      const firstMs = performance.now() - began;
      const seconds = [];
      for (const values of series) {
        const own = [];
        for (let run = 0; run < repeats; run++) own.push((await ask(values)).seconds);
        seconds.push(own);
      }
      worker.terminate();
      return { firstMs, seconds };
    },
    { series, model: MODEL, horizon: HORIZON, repeats: REPEATS },
  );
  const browsers = seconds.map(median);
  const natives = native();
  const ratios = browsers.map((own, at) => own / natives[at]);
  const name = `${MODEL}, 500 points, in Chromium beside native`;
  figure(name, median(ratios).toFixed(2), "times", "<= 4");
  const sum = (numbers) => (numbers.reduce((a, b) => a + b) * 1_000).toFixed(1);
  console.log(
    `    median over ${ratios.length} series, from ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}; ` +
      `all of them ${sum(browsers)} ms and ${sum(natives)} ms`,
  );
  console.log(`    a new worker's first answer after ${firstMs.toFixed(0)} ms, its download from this machine included`);
} finally {
  await browser.close();
  files.close();
}
