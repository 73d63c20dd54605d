// The real browser: one Chromium per test file, one fresh profile per page.
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const LIMIT_MS = 60_000;

function launchOptions() {
  const executablePath = process.env.E2E_CHROMIUM;
  if (!executablePath) throw new Error("E2E_CHROMIUM is not set: run the tests with scripts/e2e");
  return { executablePath, args: ARGUMENTS, headless: true, timeout: LIMIT_MS };
}

export const startBrowser = () => chromium.launch(launchOptions());

/** A browser with a profile that outlives it, in `directory`. */
export async function openProfile(directory, baseURL) {
  const context = await chromium.launchPersistentContext(directory, { ...launchOptions(), baseURL });
  context.setDefaultTimeout(LIMIT_MS);
  return context;
}

/**
 * A page in a profile of its own. `page.complaints` holds what it wrote to the console as a warning
 * or an error, what it threw, and what it could not load; `page.id(name)` finds by test id.
 */
export async function openPage(browser, baseURL, options = {}) {
  const context = await browser.newContext({
    baseURL,
    viewport: { width: 1280, height: 900 },
    locale: "en-GB",
    timezoneId: "America/New_York",
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      page.complaints.push(`${message.type()}: ${message.text()}`);
    }
  });
  // What is thrown and is no error of the language has no stack: a DOMException says its name.
  page.on("pageerror", (error) => page.complaints.push(`thrown: ${error.stack || `${error.name}: ${error.message}`}`));
  page.on("requestfailed", (request) => {
    // A page that goes elsewhere gives up what it was still loading; one without scripts never loads
    // them, which Chromium calls "csp".
    const why = request.failure()?.errorText;
    if (!["net::ERR_ABORTED", "csp"].includes(why)) page.complaints.push(`not loaded: ${request.url()}: ${why}`);
  });
  page.id = (name) => page.locator(`[data-testid="${name}"]`);
  return page;
}
