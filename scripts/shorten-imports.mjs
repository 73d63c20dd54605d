// Gives what a wasm module imports from its script names of one or two letters, in both. wasm-bindgen
// names every import after what it is and a hash, which no compression makes small: 268 of them were
// 6 KB of the first download.

const IMPORT_SECTION = 2;
const FUNCTION = 0;
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function letters(n) {
  const rest = Math.floor(n / LETTERS.length);
  return (rest > 0 ? letters(rest - 1) : "") + LETTERS[n % LETTERS.length];
}

// An unsigned LEB128 number: the format's every count and length.
function readNumber(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

function number(value) {
  const bytes = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) + (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return Buffer.from(bytes);
}

function text(value) {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([number(bytes.length), bytes]);
}

function readText(bytes, at) {
  const [length, from] = readNumber(bytes, at);
  return [bytes.toString("utf8", from, from + length), from + length];
}

// The section's new content; `names` gets what each name became.
function renamed(bytes, at, names) {
  const [count, first] = readNumber(bytes, at);
  const parts = [number(count)];
  let next = first;
  for (let i = 0; i < count; i++) {
    let module, name;
    [module, next] = readText(bytes, next);
    [name, next] = readText(bytes, next);
    if (bytes[next] !== FUNCTION) {
      throw new Error(`shorten-imports: ${name} is no function: only those are known here`);
    }
    const [type, end] = readNumber(bytes, next + 1);
    if (!names.has(name)) names.set(name, letters(names.size));
    parts.push(text(module), text(names.get(name)), Buffer.from([FUNCTION]), number(type));
    next = end;
  }
  return Buffer.concat(parts);
}

/**
 * @param {Buffer} wasm a module made by wasm-bindgen
 * @param {string} script its script
 * @returns {{ wasm: Buffer, script: string }} both with the short names
 * @throws {Error} when an import is not found in the script
 */
export function shortenImports(wasm, script) {
  const names = new Map();
  const parts = [wasm.subarray(0, 8)];
  for (let at = 8; at < wasm.length; ) {
    const [length, content] = readNumber(wasm, at + 1);
    const end = content + length;
    if (wasm[at] === IMPORT_SECTION) {
      const section = renamed(wasm, content, names);
      parts.push(wasm.subarray(at, at + 1), number(section.length), section);
    } else {
      parts.push(wasm.subarray(at, end));
    }
    at = end;
  }
  const exported = new Set(WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map((e) => e.name));
  const found = new Set();
  const shortened = script.replace(/[\w$]+/g, (word) => {
    if (!names.has(word)) return word;
    found.add(word);
    return names.get(word);
  });
  for (const name of names.keys()) {
    if (!found.has(name) || exported.has(name)) {
      throw new Error(`shorten-imports: ${name} is not in the script, or an export has its name`);
    }
  }
  return { wasm: Buffer.concat(parts), script: shortened };
}
