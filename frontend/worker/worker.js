// The forecasting worker: a module Web Worker around the forecasting core, for pages that forecast
// without a server. Loaded only when it is needed: new Worker("/worker/main.js", { type: "module" }).
//
// A message to it is one request:
//   { id, values, model, horizon, levels, season, log }
//     id        anything; it comes back with the reply
//     values    the series, oldest first: numbers, with null or NaN where one is missing
//     model     as the command line names it: "auto-arima", "arima(1,1,1)+drift", …
//     horizon   steps to forecast
//     levels    of the bands, in percent; [80, 95] when left out
//     season    in steps; 1 when left out
//     log       whether to fit logarithms; false when left out
//     calibration  none, split or adaptive; adaptive when left out
//     series, starts   where given: the name of a state that is kept, and the start of each value in
//               microseconds. The state then forecasts, updated by the values since, as the server does
// and each has one reply:
//   { id, answer }    the object of `tickcast forecast --format json`
//   { id, error }     { kind, message }: kind is invalid, unsupported, numeric, cancelled, unavailable
//                     (the wasm did not come) or internal
//
// A message { keep: { series, model, url } } has no reply: the state at that address is fetched and kept, in
// the place of the one before.
//
// It answers in the order asked and computes one at a time. Whoever asks keeps one request under way
// and terminates the worker to cancel it. After an internal error it ends by itself: what a panic
// leaves in the memory of a wasm module is not to be relied on.
import load, { forecast, forecast_by_state } from "./forecast.js";

const ready = load();
// A failure is told in the reply to each request.
ready.catch(() => {});

let kept;

async function keep({ series, model, url }) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return;
    const origin = Number(answer.headers.get("x-tickcast-origin-us"));
    const state = new Uint8Array(await answer.arrayBuffer());
    kept = { series, model, origin, state };
  } catch {
    // The state before is still good: more values are taken into it.
  }
}

/** The values since the state's origin, where it is of this series and model and none is missing between. */
function since({ series, starts, model, values }) {
  if (!kept || kept.series !== series || kept.model !== model) return;
  const at = starts?.indexOf(kept.origin) ?? -1;
  return at < 0 ? undefined : values.slice(at + 1);
}

async function reply(request) {
  const { values, model, horizon, levels = [80, 95], season = 1, log = false, calibration = "adaptive" } = request;
  try {
    await ready;
  } catch (error) {
    return { error: { kind: "unavailable", message: String(error) } };
  }
  try {
    const newer = since(request);
    const series = Float64Array.from(newer ?? values, (value) => value ?? NaN);
    const bands = Float64Array.from(levels);
    const answer = newer
      ? forecast_by_state(kept.state, model, series, horizon, bands)
      : forecast(series, model, horizon, bands, season, log, calibration);
    return { ...JSON.parse(answer), served: newer !== undefined };
  } catch (error) {
    return { error: { kind: "internal", message: String(error) } };
  }
}

self.onmessage = async ({ data }) => {
  if (data.keep) return keep(data.keep);
  const answer = await reply(data);
  self.postMessage({ id: data.id, ...answer });
  if (answer.error?.kind === "internal") self.close();
};
