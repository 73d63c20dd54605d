// Trunk's last step, run by it after a build, before the bundle becomes `dist`: removes Trunk's own
// page (the server renders the pages), makes the scripts small and writes .br and .gz copies, so that the
// server never compresses a file twice.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

import { transform } from "esbuild";
import { shortenImports } from "./shorten-imports.mjs";

const COMPRESSIBLE = /\.(wasm|js|mjs|css|svg|json|webmanifest|txt|html|map)$/;
// All of them are modules.
const SCRIPT = /\.m?js$/;
const MINIFY = { minify: true, format: "esm", target: "es2022", legalComments: "none" };
// Below this a packet is not saved.
const SMALLEST = 1024;

const staging = process.env.TRUNK_STAGING_DIR ?? process.argv[2];
if (!staging) {
  console.error("finish-web: no folder: Trunk sets TRUNK_STAGING_DIR, or give one");
  process.exit(2);
}
await rm(join(staging, "index.html"), { force: true });

const entries = await readdir(staging, { recursive: true, withFileTypes: true });
for (const entry of entries) {
  if (entry.isFile() && SCRIPT.test(entry.name)) {
    await finishScript(join(entry.parentPath ?? entry.path, entry.name));
  }
}
for (const entry of entries) {
  if (!entry.isFile() || !COMPRESSIBLE.test(entry.name)) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const bytes = await readFile(path);
  if (bytes.length < SMALLEST) continue;
  const [brotli, gzipped] = await Promise.all([
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
    promisify(gzip)(bytes, { level: 9 }),
  ]);
  await writeFile(`${path}.br`, brotli);
  await writeFile(`${path}.gz`, gzipped);
  const kib = (n) => (n / 1024).toFixed(1).padStart(8);
  console.log(
    `${kib(bytes.length)} KiB ${kib(brotli.length)} KiB brotli ${kib(gzipped.length)} KiB gzip  ${entry.name}`,
  );
}

// Minifies a script, with the names that it shares with its wasm.
async function finishScript(path) {
  let script = await readFile(path, "utf8");
  const module = path.replace(SCRIPT, "_bg.wasm");
  const wasm = await readFile(module).catch(() => null);
  if (wasm !== null) {
    const short = shortenImports(wasm, script);
    await writeFile(module, short.wasm);
    script = short.script;
  }
  const { code } = await transform(script, MINIFY);
  await writeFile(path, code);
}
