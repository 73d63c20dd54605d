// The app can be installed: Chromium finds nothing wrong with it, and its offer is passed on.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { openProfile } from "../harness/browser.mjs";
import { eventually } from "../harness/eventually.mjs";
import { NO_SOURCE, loadSampleData, startServer } from "../harness/scenario.mjs";

let server;
let profile;
let context;

// A profile that lasts: one that ends with its window is no place to install anything.
before(async () => {
  server = await startServer(NO_SOURCE);
  await loadSampleData(server);
  profile = await mkdtemp(join(tmpdir(), "tickcast-profile-"));
  context = await openProfile(profile, server.url);
});
after(async () => {
  await context?.close();
  await server?.dispose();
  if (profile) await rm(profile, { recursive: true, force: true });
});

test("Chromium finds the app fit to be installed", async () => {
  const page = await context.newPage();
  await page.goto("/s/AAPL?interval=1d");
  const session = await context.newCDPSession(page);
  await eventually("the service worker has the app's files", () => page.locator('html[data-offline="ready"]').count());
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  assert.deepEqual(installabilityErrors, []);
  const { errors, data } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data);
  for (const { src, sizes } of [...manifest.icons, ...manifest.screenshots]) {
    const answer = await page.request.get(src);
    assert.ok(answer.ok(), src);
    if (sizes === "any") continue;
    const size = await page.evaluate(async (url) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, src);
    assert.equal(size, sizes, src);
  }
  assert.deepEqual(new Set(manifest.screenshots.map((shot) => shot.form_factor)), new Set(["wide", "narrow"]));
  const { appId } = await session.send("Page.getAppId");
  assert.equal(appId, `${server.url}/`, "it stays the same app wherever it is started");
});

test("the browser's offer is passed on by the page, and can be sent away for good", async () => {
  const page = await context.newPage();
  await page.goto("/pipeline");
  const install = page.locator('[data-testid="install"]');
  const offer = () => page.evaluate(() => {
    const event = new Event("beforeinstallprompt", { cancelable: true });
    event.prompt = async () => (window.asked = { outcome: "dismissed" });
    window.dispatchEvent(event);
  });
  await eventually("the page's offline part is there", () => page.locator('[data-testid="app-bar"], html[data-offline]').count());
  await offer();
  await eventually("it is offered", () => install.isVisible());
  await install.click();
  assert.deepEqual(await page.evaluate(() => window.asked), { outcome: "dismissed" });
  await page.locator('[data-testid="install-dismiss"]').click();
  assert.equal(await install.isVisible(), false);
  await page.reload();
  await eventually("the page's offline part is there again", () => page.locator("html[data-offline]").count());
  await offer();
  assert.equal(await install.isVisible(), false);
});
