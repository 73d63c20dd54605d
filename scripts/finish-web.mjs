// Trunk's last step, run by it after a build, before the bundle becomes `dist`: removes Trunk's own
// page (the server renders the pages), makes the scripts small, names the build, writes the shell and the service
// worker that know it, and .br and .gz copies, so that the server never compresses a file twice.
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

import { build as bundle, transform } from "esbuild";
import { shortenImports } from "./shorten-imports.mjs";

const COMPRESSIBLE = /\.(wasm|js|mjs|css|svg|json|webmanifest|txt|html|map)$/;
// All of them are modules.
const SCRIPT = /\.m?js$/;
const MINIFY = { minify: true, format: "esm", target: "es2022", legalComments: "none" };
// Pictures of the app for a browser's shop window.
const NOT_KEPT = /^\/screenshot-/;
// Below this a packet is not saved.
const SMALLEST = 1024;

const staging = process.env.TRUNK_STAGING_DIR ?? process.argv[2];
if (!staging) {
  console.error("finish-web: no folder: Trunk sets TRUNK_STAGING_DIR, or give one");
  process.exit(2);
}
await rm(join(staging, "index.html"), { force: true });

for (const path of await files()) {
  if (SCRIPT.test(path)) await finishScript(path);
}
for (const name of ["page", "start"]) await script(`frontend/offline/${name}.ts`, `offline/${name}.js`, "esm");
await script("frontend/file/page.ts", "offline/file.js", "esm");
await writeFile(join(staging, "build.txt"), await nameBuild());

for (const path of await files()) {
  if (!COMPRESSIBLE.test(path)) continue;
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
    `${kib(bytes.length)} KiB ${kib(brotli.length)} KiB brotli ${kib(gzipped.length)} KiB gzip  ${relative(staging, path)}`,
  );
}

// Every file there is.
async function files() {
  const entries = await readdir(staging, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => entry.isFile());
  return found.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
}

// One script with all that it imports.
async function script(from, to, format, define = {}) {
  const outfile = join(staging, to);
  await bundle({ entryPoints: [from], outfile, bundle: true, ...MINIFY, format, define, logLevel: "warning" });
}

// Names the build by its content, and writes what knows the name: the pages that no server writes, and the service
// worker, which keeps the files of this build.
async function nameBuild() {
  const all = await files();
  const hash = createHash("sha256");
  const pages = ["offline.html", "file.html"];
  for (const path of [...all, ...pages.map((name) => `frontend/${name}`), ...(await sources("frontend/service-worker"))]) {
    hash.update(`${relative(staging, path)}\0`).update(await readFile(path));
  }
  const build = hash.digest("hex").slice(0, 16);
  for (const name of pages) {
    const page = await readFile(`frontend/${name}`, "utf8");
    await writeFile(join(staging, name), page.replaceAll("BUILD", build));
  }
  const paths = [...all.map((path) => relative(staging, path)), ...pages].map((path) => `/${path}`);
  const kept = paths.filter((path) => !NOT_KEPT.test(path));
  const define = { BUILD: JSON.stringify(build), FILES: JSON.stringify(kept) };
  await script("frontend/service-worker/main.ts", "sw.js", "iife", define);
  return build;
}

async function sources(folder) {
  return (await readdir(folder)).sort().map((name) => join(folder, name));
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
