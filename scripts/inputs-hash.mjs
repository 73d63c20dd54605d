// Prints one hash of the names and contents of the files and folders given. By contents, not by
// time: a checkout or a touch does not cause a build, an edit during a build does the next time.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const hash = createHash("sha256");

function add(path) {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).sort()) add(join(path, name));
  } else {
    hash.update(`${path}\0`).update(createHash("sha256").update(readFileSync(path)).digest());
  }
}

for (const path of process.argv.slice(2)) add(path);
console.log(hash.digest("hex"));
