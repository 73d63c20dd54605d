// What the browser keeps for the time without its server: charts with their bars and fans, states of models,
// and answers that pages were made of.
//
// Model: four object stores of records with a `key` and the time of their last use. Each holds so many records
// and no more; the one that was used longest ago goes first. A device without room gives up the older half of a
// store and is tried once more. Where the database is refused (a private window, a full disk) a record stays in
// the memory of whoever kept it, and `durable` says so.
//
// What it does not do: know what a page looks like.
import { openDB, type IDBPDatabase } from "idb";

import type { Chart, Fan } from "./messages.js";

const DATABASE = "tickcast";
const VERSION = 1;

interface Record_ {
  key: string;
  used_ms: number;
}

/** A chart, by the name of its series. */
export interface KeptChart extends Record_ {
  symbol: string;
  interval: string;
  chart: Chart;
  /** The newest fan of each model. */
  fans: Record<string, Fan>;
  /** The start of the last bar that is over. */
  closed_us: number;
  /** When the last price was made, by its source's clock. */
  tick_us: number;
  /** When anything was last heard of it. */
  heard_ms: number;
}

/** A state of the server's, by series and model. */
export interface KeptState extends Record_ {
  /** The start of the last bar that it has seen, in microseconds. */
  origin: number;
  bytes: Uint8Array;
}

/** An answer to a page, by its address and what was asked. */
export interface KeptAnswer extends Record_ {
  path: string;
  text: string;
}

interface Stores {
  charts: KeptChart;
  states: KeptState;
  answers: KeptAnswer;
}
type Name = keyof Stores;

/** The most records of each store. */
const MOST: Record<Name, number> = { charts: 24, states: 96, answers: 64 };

export class Kept {
  /** Whether what is kept outlives the page. */
  durable = true;
  readonly #database: Promise<IDBPDatabase | undefined>;
  readonly #memory: { [N in Name]: Map<string, Stores[N]> } = { charts: new Map(), states: new Map(), answers: new Map() };

  constructor() {
    this.#database = openDB(DATABASE, VERSION, {
      upgrade(database) {
        for (const name of Object.keys(MOST)) {
          database.createObjectStore(name, { keyPath: "key" }).createIndex("used", "used_ms");
        }
      },
      // A newer build's page wants another version: it shall not wait for this one.
      blocking: (_version, _blocked, event) => (event.target as IDBDatabase).close(),
    }).catch(() => {
      this.durable = false;
      return undefined;
    });
  }

  async get<N extends Name>(name: N, key: string): Promise<Stores[N] | undefined> {
    const held = this.#memory[name].get(key);
    if (held) return held;
    return (await this.#database)?.get(name, key).catch(() => undefined);
  }

  /** All of a store, the one used last first. */
  async all<N extends Name>(name: N): Promise<Stores[N][]> {
    const held: Stores[N][] = [...this.#memory[name].values()];
    const stored: Stores[N][] = (await (await this.#database)?.getAll(name).catch(() => [])) ?? [];
    const others = stored.filter((record) => !this.#memory[name].has(record.key));
    return [...held, ...others].sort((a, b) => b.used_ms - a.used_ms);
  }

  async put<N extends Name>(name: N, record: Stores[N]): Promise<void> {
    const database = await this.#database;
    if (database) {
      for (const most of [MOST[name], MOST[name] / 2]) {
        try {
          await drop(database, name, most - 1, record.key);
          await database.put(name, record);
          this.#memory[name].delete(record.key);
          this.durable = true;
          return;
        } catch {
          // No room, or the storage was taken away while the page is open.
        }
      }
      this.durable = false;
    }
    const memory = this.#memory[name];
    memory.delete(record.key);
    memory.set(record.key, record);
    const [oldest] = memory.keys();
    if (memory.size > MOST[name] && oldest !== undefined) memory.delete(oldest);
  }
}

/** Leaves at most `most` records besides the one of `key`. */
async function drop(database: IDBPDatabase, name: Name, most: number, key: string): Promise<void> {
  const { store, done } = database.transaction(name, "readwrite");
  const removed = async () => {
    let over = (await store.count()) - most;
    for (let at = await store.index("used").openKeyCursor(); at && over > 0; at = await at.continue()) {
      over -= 1;
      if (at.primaryKey !== key) await store.delete(at.primaryKey);
    }
  };
  // A transaction that is aborted rejects both: whoever waited for one alone would leave the other unhandled.
  await Promise.all([removed(), done]);
}

/** The name of a series, as the page says it. */
export const seriesName = (symbol: string, interval: string): string => `${symbol} ${interval}`;

/** Takes a chart that has come from the server; fans and prices that came live are kept. */
export function chartRecord(chart: Chart, before: KeptChart | undefined, now_ms: number): KeptChart {
  const { symbol } = chart.query;
  const fans = { ...before?.fans };
  if (chart.fan) fans[chart.fan.model] = chart.fan;
  return {
    key: seriesName(symbol, chart.interval),
    symbol,
    interval: chart.interval,
    chart,
    fans,
    closed_us: Math.max(before?.closed_us ?? 0, chart.fan?.origin_us ?? 0),
    tick_us: before?.tick_us ?? 0,
    heard_ms: now_ms,
    used_ms: now_ms,
  };
}
