// What travels between the server, the page, its workers and the service worker, as far as they read it.
// The Rust side: app/src/api/chart_page.rs, app/src/worker.rs, crates/market/src/wire.rs.

/** Bars of one series, oldest first, as columns (app/src/api/bars.rs). */
export interface Bars {
  of: [symbol: string, interval: string] | null;
  start_us: number[];
  open: number[];
  high: number[];
  low: number[];
  close: number[];
  volume: number[];
}

export interface Bar {
  symbol: string;
  interval: string;
  start_us: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export interface Fan {
  symbol: string;
  interval: string;
  model: string;
  origin_us: number;
  targets_us: number[];
  mean: number[];
  bands: { level: number; lower: number[]; upper: number[] }[];
  [other: string]: unknown;
}

export interface Query {
  symbol: string;
  interval: string | null;
  horizon: number;
  model: string;
  bars: number;
}

/** What a chart page shows. */
export interface Chart {
  query: Query;
  interval: string;
  intervals: string[];
  /** The model that was chosen: its name, or `champion`. */
  model: string;
  bars: Bars;
  closed?: number | null;
  fan: Fan | null;
  fan_live: boolean;
  fan_problem: string | null;
  fit: string;
  record: { past: unknown[]; promise: string; board: string };
  [other: string]: unknown;
}

/** How the server stands, and its list of symbols. */
export type Overview = [
  status: { live_models: string[]; [other: string]: unknown },
  list: { home: string; [other: string]: unknown },
];

/** What the page asks its worker to keep. */
export interface Keep {
  series: string;
  model: string;
  query: Query;
}

/** A message on `/live` or `/forecast`. */
export interface Heard {
  type: string;
  symbol?: string;
  ticks?: { ts_us: number }[];
  tick?: { ts_us: number };
  last?: { ts_us: number } | null;
  bars?: Bar[];
  bar?: Bar;
  closed?: boolean;
}

/** Where a file that was shared with the app waits for the page that forecasts files: a cache, an address in it, and the
 * answer's header with the file's name. */
export const SHARED = { cache: "shared", address: "/file/shared", name: "x-name" } as const;

/** Whoever keeps something says how it went, on this channel. */
export const CHANNEL = "tickcast-kept";
export interface KeptNews {
  durable: boolean;
}
