// Logging in with a token, and what a page may run.
import assert from "node:assert/strict";

import { NO_SOURCE, connected, withServer } from "../harness/scenario.mjs";

const scenario = withServer(NO_SOURCE);

scenario("a script that was put into a page does not run", { complaints: /Content Security Policy/ }, async (page) => {
  for (const path of ["/", "/backtest", "/pipeline"]) {
    await page.goto(path);
    await connected(page);
    const ran = await page.evaluate(() => {
      window.ran = false;
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      const place = document.createElement("div");
      place.innerHTML = '<button id="put-in" onclick="window.ran = true">x</button>';
      document.body.append(place);
      document.getElementById("put-in").click();
      return window.ran;
    });
    assert.equal(ran, false, path);
  }
});

// A wrong token is answered with 401, which Chromium tells of in the console.
scenario("what changes something leads to the login page once there is a token, and back", { complaints: /401/ }, async (page, server) => {
  const token = await server.newToken("admin");
  await page.goto("/");
  await connected(page);
  await page.id("load-sample-data").click();
  await page.waitForURL(/\/login\?next=\/$/);
  await page.id("token").fill("tickcast_of_somebody_else");
  await page.id("token").press("Enter");
  await page.getByRole("alert").waitFor();
  await page.id("token").fill(token);
  await page.id("token").press("Enter");
  await page.waitForURL((url) => url.pathname === "/");
  await connected(page);
  assert.equal(await page.evaluate(() => document.cookie), "", "the session is nothing for scripts");
  await page.id("load-sample-data").click();
  await page.waitForURL(/\/s\/AAPL/);
  await connected(page);

  await page.id("login-link").click();
  await page.waitForURL(/\/login$/);
  assert.match(await page.id("login").innerText(), /logged in with the token e2e/);
  await page.id("logout").click();
  await page.id("token").waitFor();
});
