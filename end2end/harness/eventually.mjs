// Waiting for something to become true. The limit is far above what it takes: it ends a test that
// hangs, it judges no speed.

const LIMIT_MS = 90_000;
const PAUSE_MS = 50;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves with the first truthy value of `look`; rejects with `what` at the limit. */
export async function eventually(what, look) {
  const end = performance.now() + LIMIT_MS;
  let last;
  while (performance.now() < end) {
    last = await look();
    if (last) return last;
    await sleep(PAUSE_MS);
  }
  throw new Error(`it never came true that ${what} (last seen: ${JSON.stringify(last)})`);
}
