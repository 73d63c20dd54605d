// A series and its forecast as SVG.
import type { Series } from "./reader.js";

export interface Forecast {
  model: string;
  mean: number[];
  lower: Record<string, number[]>;
  upper: Record<string, number[]>;
  seconds: number;
}

const WIDTH = 960;
const HEIGHT = 360;
/** Values shown before the forecast. */
const SHOWN = 240;
const SVG = "http://www.w3.org/2000/svg";

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function draw({ values }: Series, forecast: Forecast): SVGElement {
  const shown = values.slice(-SHOWN);
  const levels = Object.keys(forecast.upper).sort((a, b) => Number(b) - Number(a));
  const all = [...shown, ...forecast.mean, ...levels.flatMap((l) => [...(forecast.lower[l] ?? []), ...(forecast.upper[l] ?? [])])];
  const known = all.filter((value): value is number => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const steps = shown.length + forecast.mean.length;
  const x = (at: number) => ((at + 0.5) / steps) * WIDTH;
  const y = (value: number) => HEIGHT - 12 - ((value - low) / (high - low || 1)) * (HEIGHT - 24);
  const points = (values: (number | null)[], from: number) =>
    values.flatMap((value, at) => (value === null ? [] : [`${x(from + at).toFixed(1)},${y(value).toFixed(1)}`]));

  const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "file-chart" });
  const title = shape("title", {});
  title.textContent = `The last ${shown.length} values and ${forecast.mean.length} steps forecast by ${forecast.model}`;
  picture.append(title);
  for (const level of levels) {
    const band = [...points(forecast.upper[level] ?? [], shown.length), ...points(forecast.lower[level] ?? [], shown.length).reverse()];
    picture.append(shape("polygon", { points: band.join(" "), class: "file-band" }));
  }
  picture.append(shape("polyline", { points: points(shown, 0).join(" "), class: "file-line" }));
  picture.append(shape("polyline", { points: points(forecast.mean, shown.length).join(" "), class: "file-mean" }));
  return picture;
}
