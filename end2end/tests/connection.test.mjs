// The page says how it stands with the server, by name.
import assert from "node:assert/strict";

import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, connected, openLive, withServer } from "../harness/scenario.mjs";

// After two heartbeats of silence a connection is stale; after four it is given up.
const scenario = withServer({ ...NO_SOURCE, flags: [...NO_SOURCE.flags, "--set", "live.heartbeat_ms=1000"] });
const cutOff = { complaints: /WebSocket|ERR_INTERNET_DISCONNECTED|Failed to fetch|ERR_NETWORK_CHANGED/ };

// Enough bars for a forecast: a page without one says why, and the browser complains of the answer.
const ticks = Array.from({ length: 9 }, (_, i) => (
  { symbol: "ACME", ts: new Date(Date.now() - 60_000 + i * 1000).toISOString(), seq: i, price: 10 + i, size: 1 }));
const chart = "/s/ACME?interval=1s";

/** The names that the state takes from now on, each once it has changed. */
async function watchStates(page) {
  await page.id("connection-state").evaluate((element) => {
    window.states = [element.innerText];
    new MutationObserver(() => {
      if (window.states.at(-1) !== element.innerText) window.states.push(element.innerText);
    }).observe(element, { childList: true, characterData: true, subtree: true });
  });
  return () => page.evaluate(() => window.states);
}

scenario("a page whose first connection is still being made says that it is connecting", {}, async (page, server) => {
  await server.push(ticks.map((tick) => ({ ...tick, symbol: "SLOW" })));
  // A page without scripts says "connecting" too: this one has asked for its prices, and waits.
  let asked = false;
  let letThrough;
  const gate = new Promise((resolve) => (letThrough = resolve));
  await page.routeWebSocket(/\/live$/, async (socket) => {
    asked = true;
    await gate;
    socket.connectToServer();
  });
  await page.goto(chart.replace("ACME", "SLOW"));
  await eventually("the page asks for its prices", () => asked);
  const states = await watchStates(page);
  assert.deepEqual(await states(), ["connecting"]);
  letThrough();
  await connected(page);
  assert.deepEqual(await states(), ["connecting", "connected"]);
});

scenario("a server that falls silent makes the page stale, then offline, and connected again", cutOff, async (page, server) => {
  await page.addInitScript(() => {
    window.attempts = 0;
    window.WebSocket = class extends WebSocket {
      constructor(url) {
        super(url);
        if (url.endsWith("/live")) window.attempts += 1;
      }
    };
  });
  await server.push(ticks);
  await openLive(page, chart);
  const states = await watchStates(page);
  server.pause();
  try {
    await eventually("the page is offline", async () => (await states()).at(-1) === "offline");
    // Nobody answers these attempts, and nobody refuses them: each hangs until it is given up.
    const attempts = () => page.evaluate(() => window.attempts);
    const before = await attempts();
    await eventually("an offline page gives up what hangs and tries again", async () => (await attempts()) > before + 1);
  } finally {
    server.resume();
  }
  await connected(page);
  assert.deepEqual(await states(), ["connected", "stale", "offline", "connected"]);
  const colour = (state) => page.evaluate((name) => {
    const probe = document.createElement("span");
    probe.className = `state state-${name}`;
    document.body.append(probe);
    const { backgroundColor } = getComputedStyle(probe, "::before");
    probe.remove();
    return backgroundColor;
  }, state);
  const colours = new Set([await colour("live"), await colour("stale"), await colour("offline")]);
  assert.equal(colours.size, 3, "each state has a colour of its own");
});

scenario("a page is live when prices come, and only then", {}, async (page, server) => {
  await server.push(ticks.map((tick) => ({ ...tick, symbol: "SILENT" })));
  await openLive(page, chart.replace("ACME", "SILENT"));
  assert.equal(await page.id("connection-state").innerText(), "connected", "prices of the past are none that come");
  // One that is pushed before the page's subscription has arrived reaches it inside the snapshot.
  let seq = 99;
  await eventually("it is live", async () => {
    await server.push([{ symbol: "SILENT", ts: new Date().toISOString(), seq, price: 30, size: 1 }]);
    seq += 1;
    return (await page.id("connection-state").innerText()) === "live";
  });
});

scenario("a browser without a network is offline at once, and live when it has one", cutOff, async (page, server) => {
  await server.push(ticks.map((tick) => ({ ...tick, symbol: "LINE" })));
  await openLive(page, chart.replace("ACME", "LINE"));
  await page.context().setOffline(true);
  await eventually("the page is offline", async () =>
    (await page.id("connection-state").innerText()) === "offline");
  await page.context().setOffline(false);
  await connected(page);
});
