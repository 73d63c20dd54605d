// One server and one browser for the tests of a file, and a fresh page for each test.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openPage, startBrowser } from "./browser.mjs";
import { eventually } from "./eventually.mjs";
import { Server } from "./server.mjs";

const RESULTS = fileURLToPath(new URL("../results", import.meta.url));

/** The built-in exchange. Few trades, a short history: quick to start, and enough to chart. */
export const SIMULATED = { flags: ["--rate", "60", "--set", "simulate.history_hours=8"], first: "/s/NIMBU" };
/** No prices but those that a test brings in. */
export const NO_SOURCE = { flags: ["--source", "none"], first: "/" };

/**
 * The options of a scenario that ends its server: a browser writes every connection that fails to the console, that of
 * an icon that was still on its way too.
 */
export const CUT_OFF = {
  complaints:
    /ERR_CONNECTION_REFUSED|WebSocket|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING|Failed to fetch/,
};

/** Starts a server and waits until it has the page `first`. */
export async function startServer({ flags, first }) {
  const server = await Server.start(flags);
  await eventually(`there is ${first}`, async () => (await fetch(server.url + first)).ok);
  return server;
}

/**
 * Declares the file's server; the tests begin when it has the page `first`. Returns a function that
 * declares a test: `scenario(sentence, options, async (page, server) => …)`. Options are those of a
 * browser context, and `complaints`: a pattern of console messages that belong to the test. Any
 * other message that the page complains with fails the test.
 */
export function withServer(what) {
  let server;
  let browser;
  before(async () => {
    server = await startServer(what);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.dispose();
  });
  return (sentence, { complaints, ...options }, body) => {
    test(sentence, async () => {
      const page = await openPage(browser, server.url, options);
      try {
        await body(page, server);
        const unexpected = page.complaints.filter((text) => !complaints?.test(text));
        assert.deepEqual(unexpected, [], "the page complained");
      } catch (error) {
        mkdirSync(RESULTS, { recursive: true });
        const path = join(RESULTS, `${sentence.replace(/\W+/g, "-")}.png`);
        await page.screenshot({ path, timeout: 10_000 }).catch(() => {});
        if (page.complaints.length) error.message += `\nthe page said: ${page.complaints.join("\n")}`;
        throw error;
      } finally {
        await page.context().close();
      }
    });
  };
}

/** Imports the bundled sample data, as the page's button does; once is enough, more do no harm. */
export async function loadSampleData(server) {
  const answer = await fetch(`${server.url}/api/load_sample_data`, { method: "POST" });
  if (!answer.ok) throw new Error(`the sample data was not imported: ${answer.status} ${await answer.text()}`);
}

/** Opens a chart and waits until the page is hydrated and hears from the server. */
export async function openLive(page, path) {
  await page.goto(path);
  await connected(page);
}

/** Whether the page hears from the server: it is live where prices come, and else connected. */
export async function isConnected(page) {
  return ["live", "connected"].includes(await page.id("connection-state").innerText());
}

/** Waits until the page hears from the server. */
export async function connected(page) {
  await eventually("the page is connected", () => isConnected(page));
}

/** The number in an element's text. */
export async function numberIn(locator) {
  return Number((await locator.innerText()).replace(/[^\d.-]/g, ""));
}

/** The start of the last bar that the forecast on the page saw, in microseconds. */
export async function fanOrigin(page) {
  return Number(await page.id("chart").getAttribute("data-origin-us"));
}

/** Whether anything is drawn on the canvas. */
export async function canvasIsDrawn(page) {
  return page.id("chart-canvas").evaluate((canvas) => {
    if (!canvas.width || !canvas.height) return false;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const first = data.slice(0, 4).join();
    for (let at = 4; at < data.length; at += 4) {
      if (data.slice(at, at + 4).join() !== first) return true;
    }
    return false;
  });
}
