// Takes the picture for the README: the chart of a simulated symbol in seconds, once forecasts have
// been judged. With --install FOLDER the manifest's two, which a browser shows before it installs the app.
//   node end2end/screenshot.mjs FILE.png
//   node end2end/screenshot.mjs --install public
import { canvasIsDrawn, openLive, startServer } from "./harness/scenario.mjs";
import { openPage, startBrowser } from "./harness/browser.mjs";
import { eventually, sleep } from "./harness/eventually.mjs";

const MOST_SECONDS = 600;

const [file, folder] = process.argv.slice(2);
const README = { path: file, viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1.5 };
const INSTALL = [
  { path: `${folder}/screenshot-wide.png`, viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1 },
  { path: `${folder}/screenshot-narrow.png`, viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
];
if (!file) {
  console.error("screenshot: name the file to write");
  process.exit(2);
}
const server = await startServer({ flags: ["--rate", "200"], first: "/s/NIMBU" });
const browser = await startBrowser();
try {
  for (const { path, ...options } of file === "--install" ? INSTALL : [README]) {
    await take(path, options);
  }
} finally {
  await browser.close();
  await server.dispose();
}

async function take(path, options) {
  const page = await openPage(browser, server.url, { ...options, colorScheme: "light" });
  await openLive(page, "/s/NIMBU?interval=1s&horizon=5");
  await eventually("the canvas is drawn", () => canvasIsDrawn(page));
  // Thirty outcomes that do not overlap, of five seconds each: longer than a test waits for anything.
  const judged = async () => /interval held/.test(await page.id("scoreboard-words").innerText());
  for (let seconds = 0; !(await judged()); seconds += 1) {
    if (seconds === MOST_SECONDS) throw new Error("too few forecasts were judged to tell something");
    await sleep(1000);
  }
  await eventually("a latency is shown", async () => /\d/.test(await page.id("latency").innerText()));
  await page.screenshot({ path });
  console.log(`${path} written`);
  await page.context().close();
}
