// The page's part in being offline: starts the service worker, says since when there is no server and when the
// last price came, offers a new version and the installation.
//
// Model: fetched once the page is at work, so that it is in nobody's first download. What it says stands in a bar
// at the end of the body, which the app does not touch.
//
// What it does not do: forecast or draw; keep anything (frontend/worker/main.ts and the service worker do).
import { CHANNEL, type KeptNews } from "./messages.js";
import { Kept } from "./kept.js";
import { offerInstallation } from "./install.js";

const BUILD = document.documentElement.dataset["build"] ?? "";
const CONNECTED = "tickcast-connected";
const LOOK_MS = 500;
/** How long a service worker has to take over from the one before. */
const RELIEF_MS = 3_000;
/** What every page needs once, so that it opens later; asked anew after so long. */
const WARM: [string, unknown][] = [
  ["overview", { find: "", after: "", current: "" }],
  ["backtest_page", { search: "" }],
  ...["/pipeline", "/models", "/training", "/scoreboard"].map((path): [string, unknown] => ["page", { path, search: "", zone: "" }]),
];

const isShell = document.documentElement.dataset["shell"] !== undefined;
const bar = document.createElement("aside");
bar.className = "app-bar";
bar.dataset["testid"] = "app-bar";
const line = (testId: string): HTMLElement => {
  const made = document.createElement("p");
  made.setAttribute("role", "status");
  made.dataset["testid"] = testId;
  made.hidden = true;
  bar.append(made);
  return made;
};
const offline = line("offline-note");
const update = line("update-note");

// The build's files are kept for as long as a page of it is open. A page that is just being left gets no lock.
navigator.locks?.request(`tickcast-${BUILD}`, { mode: "shared" }, () => new Promise(() => {})).catch(() => {});

let durable = true;
let why = "";
if ("BroadcastChannel" in self) {
  new BroadcastChannel(CHANNEL).onmessage = ({ data }: MessageEvent<KeptNews>) => {
    durable = data.durable;
    document.documentElement.dataset["kept"] = durable ? "durable" : "memory";
  };
}

function say(where: HTMLElement, text: string): void {
  if (where.textContent !== text) where.textContent = text;
  where.hidden = text === "";
  // The app's own parts come and go before it.
  if (document.body.lastElementChild !== bar) document.body.append(bar);
}

const word = (): string => document.getElementById("connection-state")?.textContent ?? "";
const isConnected = (): boolean => ["live", "connected"].includes(word());

function clock(ms: number): string {
  const iso = new Date(ms).toISOString();
  const today = new Date().toISOString().slice(0, 10) === iso.slice(0, 10);
  return `${today ? "" : `${iso.slice(0, 10)} `}${iso.slice(11, 19)} UTC`;
}

/** When a price last came: of the symbol shown, or else of any. */
async function lastPrice(): Promise<string> {
  const path = location.pathname.startsWith("/s/") ? decodeURIComponent(location.pathname.slice(3)) : "";
  const charts = await new Kept().all("charts");
  const shown = path ? charts.filter((record) => record.symbol === path.toUpperCase()) : charts;
  const last = Math.max(0, ...shown.map((record) => record.tick_us));
  if (!last) return "";
  return ` The last price${path ? ` of ${path.toUpperCase()}` : ""} came at ${clock(last / 1_000)}.`;
}

async function tellOffline(since_ms: number): Promise<void> {
  const storage = durable ? "" : " This browser keeps nothing for later: what is shown is gone with the page.";
  const reload = why && ` Without its server this page will not open again: ${why}.`;
  say(offline, `Offline since ${clock(since_ms)}.${await lastPrice()}${storage}${reload}`);
}

function watchConnection(): void {
  let connected_ms = Number(localStorage.getItem(CONNECTED)) || Date.now();
  let told = false;
  const look = () => {
    if (isConnected()) {
      connected_ms = Date.now();
      if (told) say(offline, "");
      told = false;
    } else if (!told && (word() === "offline" || isShell)) {
      told = true;
      void tellOffline(connected_ms);
    }
  };
  const remember = () => localStorage.setItem(CONNECTED, String(connected_ms));
  look();
  setInterval(look, LOOK_MS);
  setInterval(remember, 10 * LOOK_MS);
  addEventListener("pagehide", remember);
}

/** Asks for what pages are made of, so that the service worker keeps it. */
async function warmUp(): Promise<void> {
  if (isShell || !isConnected()) return;
  for (const [name, asked] of WARM) {
    const headers = { "content-type": "application/json" };
    await fetch(`/api/${name}`, { method: "POST", headers, body: JSON.stringify(asked) }).catch(() => undefined);
  }
}

function offer(waiting: ServiceWorker): void {
  say(update, "A new version is ready. ");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Reload";
  button.dataset["testid"] = "update-reload";
  button.onclick = () => {
    button.disabled = true;
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    waiting.postMessage("take over");
    // One that is still answering somebody is not relieved at once. The new version's files are kept already.
    setTimeout(() => location.reload(), RELIEF_MS);
  };
  update.append(button);
}

async function startServiceWorker(): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    why = isSecureContext ? "the browser has no service workers" : "the address is not a secure one (https)";
    return;
  }
  const registration = await navigator.serviceWorker.register("/sw.js", { scope: "/", updateViaCache: "none" });
  const look = (worker: ServiceWorker | null) => {
    if (worker?.state === "installed" && navigator.serviceWorker.controller) offer(worker);
  };
  look(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => look(worker));
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    // Without a network there is nothing new.
    registration.update().catch(() => {});
    registration.active?.postMessage("look around");
  });
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  }
  document.documentElement.dataset["offline"] = "ready";
}

/** Some browsers ask the reader: not before one has done something here, and once. */
function askForStorage(): void {
  addEventListener("pointerdown", () => void navigator.storage?.persist?.(), { once: true });
}

watchConnection();
askForStorage();
offerInstallation(line("install-note"), say);
startServiceWorker().then(warmUp, (error: unknown) => (why = String(error)));
