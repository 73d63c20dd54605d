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
// and each has one reply:
//   { id, answer }    the object of `tickcast forecast --format json`
//   { id, error }     { kind, message }: kind is invalid, unsupported, numeric, cancelled, unavailable
//                     (the wasm did not come) or internal
//
// It answers in the order asked and computes one at a time. Whoever asks keeps one request under way
// and terminates the worker to cancel it. After an internal error it ends by itself: what a panic
// leaves in the memory of a wasm module is not to be relied on.
import load, { forecast } from "./forecast.js";

const ready = load();
// A failure is told in the reply to each request.
ready.catch(() => {});

async function reply({ values, model, horizon, levels = [80, 95], season = 1, log = false }) {
  try {
    await ready;
  } catch (error) {
    return { error: { kind: "unavailable", message: String(error) } };
  }
  try {
    const series = Float64Array.from(values, (value) => value ?? NaN);
    return JSON.parse(forecast(series, model, horizon, Float64Array.from(levels), season, log));
  } catch (error) {
    return { error: { kind: "internal", message: String(error) } };
  }
}

self.onmessage = async ({ data }) => {
  const answer = await reply(data);
  self.postMessage({ id: data.id, ...answer });
  if (answer.error?.kind === "internal") self.close();
};
