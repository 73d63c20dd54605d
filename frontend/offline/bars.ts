// Bars as columns, changed in place: one comes, the oldest goes.
import type { Bar, Bars } from "./messages.js";

/** The most bars that are kept of a series. */
export const MOST_BARS = 1_000;

const VALUES = ["open", "high", "low", "close", "volume"] as const;

/** Puts a bar where it belongs: in the place of the one with its start, or between its neighbours. */
export function putBar(bars: Bars, bar: Bar): void {
  bars.of ??= [bar.symbol, bar.interval];
  let at = bars.start_us.length;
  while (at > 0 && (bars.start_us[at - 1] ?? 0) > bar.start_us) at -= 1;
  const known = at > 0 && bars.start_us[at - 1] === bar.start_us;
  const place = known ? at - 1 : at;
  bars.start_us.splice(place, known ? 1 : 0, bar.start_us);
  for (const name of VALUES) bars[name].splice(place, known ? 1 : 0, bar[name]);
  const over = bars.start_us.length - MOST_BARS;
  if (over > 0) {
    bars.start_us.splice(0, over);
    for (const name of VALUES) bars[name].splice(0, over);
  }
}

/** The latest bars, at most so many. */
export function latestBars(bars: Bars, most: number): Bars {
  const latest = { ...bars, start_us: bars.start_us.slice(-most) };
  for (const name of VALUES) latest[name] = bars[name].slice(-most);
  return latest;
}

/** Adds to `chart`'s bars those of `live` that came after its last one. */
export function catchUp(bars: Bars, live: Bars | undefined): void {
  if (!live?.of) return;
  const [symbol, interval] = live.of;
  const last = bars.start_us.at(-1) ?? 0;
  live.start_us.forEach((start_us, at) => {
    if (start_us <= last) return;
    const [open = 0, high = 0, low = 0, close = 0, volume = 0] = VALUES.map((name) => live[name][at]);
    putBar(bars, { symbol, interval, start_us, open, high, low, close, volume });
  });
}
