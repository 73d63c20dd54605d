// The page that forecasts a file of the device: chosen, dropped, shared with the app or opened by it. Nothing of it
// leaves the browser.
//
// Model: a worker reads the file by the server's own reader (reader.ts), the forecasting worker fits and forecasts
// (frontend/worker/main.ts), this page draws and lists.
import { SHARED } from "../offline/messages.js";
import { draw, type Forecast } from "./drawing.js";
import type { Answer, Asked, Series } from "./reader.js";

/** A larger one does not fit the reader's memory beside its copy. */
const MOST_BYTES = 256 * 1024 * 1024;

interface LaunchParams {
  files: readonly { getFile(): Promise<File> }[];
}
declare global {
  interface Window {
    launchQueue?: { setConsumer(consumer: (params: LaunchParams) => void): void };
  }
}

const build = document.documentElement.dataset["build"];
const of = (path: string): string => `${path}?b=${build}`;
function part<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
const [file, column, id, model, horizon, season, series, log] = [
  part<HTMLInputElement>("file"),
  part<HTMLInputElement>("column"),
  part<HTMLInputElement>("id"),
  part<HTMLSelectElement>("model"),
  part<HTMLInputElement>("horizon"),
  part<HTMLInputElement>("season"),
  part<HTMLSelectElement>("series"),
  part<HTMLInputElement>("log"),
];
const [said, problem, result] = [part("said"), part("problem"), part("result")];

let chosen: File | undefined;
let found: Series[] = [];
let reading: Worker | undefined;
let forecasting: Worker | undefined;

function fail(text: string): void {
  problem.textContent = text;
  problem.hidden = text === "";
}

function ask<A, B>(worker: Worker, message: A, transfer: Transferable[] = []): Promise<B> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<B>) => resolve(data);
    worker.onerror = () => reject(new Error("its script could not be loaded"));
    worker.postMessage(message, transfer);
  });
}

async function read(): Promise<void> {
  // Another may be chosen while this one is read.
  const given = chosen;
  if (!given) return;
  fail("");
  result.replaceChildren();
  found = [];
  forecasting?.terminate();
  reading?.terminate();
  reading = undefined;
  if (given.size > MOST_BYTES) {
    said.textContent = "";
    return fail(`${given.name}: a file of up to 256 MB can be read here; the command \`tickcast forecast\` reads larger ones`);
  }
  said.textContent = `Reading ${given.name}…`;
  const worker = (reading = new Worker(of("/worker/read.js"), { type: "module" }));
  const bytes = new Uint8Array(await given.arrayBuffer());
  if (worker !== reading) return;
  const asked: Asked = { name: given.name, bytes, column: column.value.trim(), id: id.value.trim() };
  const answer = await ask<Asked, Answer>(worker, asked, [bytes.buffer]);
  if ("error" in answer) {
    said.textContent = "";
    return fail(answer.error);
  }
  found = answer.series;
  series.replaceChildren(...found.map(({ id }, at) => new Option(id || given.name, String(at))));
  part("series-choice").hidden = found.length < 2;
  const values = found.reduce((sum, { values }) => sum + values.length, 0);
  said.textContent = `${given.name}: ${found.length} series, ${values} values. ${answer.notes.map((note) => `${note}.`).join(" ")}`;
  await forecast();
}

async function forecast(): Promise<void> {
  const one = found[Number(series.value) || 0];
  if (!one) return;
  fail("");
  forecasting?.terminate();
  forecasting = new Worker(of("/worker/main.js"), { type: "module" });
  const asked = {
    values: one.values,
    model: model.value,
    horizon: Number(horizon.value),
    season: Number(season.value),
    log: log.checked,
  };
  const { answer, error } = await ask<typeof asked, { answer?: Forecast; error?: { message: string } }>(forecasting, asked);
  if (!answer) return fail(`No forecast: ${error?.message ?? "the worker has ended"}`);
  show(one, answer);
}

function show(one: Series, forecast: Forecast): void {
  const line = document.createElement("p");
  line.dataset["testid"] = "file-note";
  line.textContent = `Forecast in this browser by ${forecast.model}, in ${(forecast.seconds * 1_000).toFixed(1)} ms.`;
  const table = document.createElement("table");
  table.dataset["testid"] = "file-table";
  const levels = Object.keys(forecast.upper).sort((a, b) => Number(a) - Number(b));
  const head = table.createTHead().insertRow();
  for (const text of ["Step", "Forecast", ...levels.flatMap((level) => [`${level} % from`, "to"])]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    head.append(cell);
  }
  const body = table.createTBody();
  forecast.mean.forEach((mean, at) => {
    const row = body.insertRow();
    const bounds = levels.flatMap((level) => [forecast.lower[level]?.[at], forecast.upper[level]?.[at]]);
    for (const value of [at + 1, mean, ...bounds]) row.insertCell().textContent = String(value);
  });
  result.replaceChildren(draw(one, forecast), line, table);
}

function take(given: File | undefined): void {
  if (!given) return;
  chosen = given;
  void read().catch((error: unknown) => fail(String(error)));
}

file.onchange = () => take(file.files?.[0]);
for (const field of [column, id]) field.onchange = () => take(chosen);
for (const field of [model, horizon, season, series, log]) {
  field.onchange = () => void forecast().catch((error: unknown) => fail(String(error)));
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer?.files[0]);
});
window.launchQueue?.setConsumer(({ files: [first] }) => void first?.getFile().then(take));
if (location.search.includes("shared")) {
  const shared = await caches.match(SHARED.address);
  if (shared) {
    take(new File([await shared.blob()], decodeURIComponent(shared.headers.get(SHARED.name) ?? "shared.csv")));
    await (await caches.open(SHARED.cache)).delete(SHARED.address);
  }
}
document.documentElement.dataset["file"] = "ready";
