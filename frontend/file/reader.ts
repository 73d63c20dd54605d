// A worker that reads one file by the server's own reader, and ends. A message { name, bytes, column, id } has one
// reply: { series, notes } or { error }.
declare const self: DedicatedWorkerGlobalScope;

/** What wasm-bindgen writes (frontend/file-reader/src/lib.rs). */
interface Reader {
  default(from: { module_or_path: URL }): Promise<unknown>;
  read(name: string, bytes: Uint8Array, column: string, id: string, now_us: number): string;
}

export interface Asked {
  name: string;
  bytes: Uint8Array;
  column: string;
  id: string;
}

export interface Series {
  id: string;
  values: (number | null)[];
}

export type Answer = { series: Series[]; notes: string[] } | { error: string };

const beside = (name: string): URL => new URL(name + self.location.search, import.meta.url);

self.onmessage = async ({ data }: MessageEvent<Asked>) => {
  let answer: Answer;
  try {
    const reader = (await import(beside("reader.js").href)) as Reader;
    await reader.default({ module_or_path: beside("reader_bg.wasm") });
    answer = JSON.parse(reader.read(data.name, data.bytes, data.column, data.id, Date.now() * 1_000)) as Answer;
  } catch (error) {
    answer = { error: `the file could not be read here: ${String(error)}` };
  }
  self.postMessage(answer);
  self.close();
};
