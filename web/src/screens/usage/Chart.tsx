import "uplot/dist/uPlot.min.css";

import { useEffect, useRef } from "react";
import uPlot from "uplot";

import { useDark } from "../../shell/theme";

export interface Series {
  name: string;
  values: (number | null)[];
}

interface ChartProps {
  days: number[]; // seconds since 1970, one for each value
  series: Series[];
  stacked: boolean;
  words: (value: number) => string;
  label: string;
}

export const colourOf = (place: number) => `var(--series-${Math.min(place, 6) + 1})`;

const resolved = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Bars that lie on one another: each series is drawn as the sum up to it, the highest sum first.
function piled(series: Series[]): (number | null)[][] {
  const sums: number[][] = [];
  for (const one of series) sums.push(one.values.map((value, day) => (value ?? 0) + (sums.at(-1)?.[day] ?? 0)));
  return sums.toReversed();
}

/** What is summed up in the table below it, over time. */
export function Chart({ days, series, stacked, words, label }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const dark = useDark();
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const colour = (place: number) => resolved(`--series-${Math.min(place, 6) + 1}`);
    const text = resolved("--text-3");
    const line = resolved("--line");
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: `11px ${getComputedStyle(document.body).fontFamily}` };
    const shown = series.map((one, place) => ({ one, place }));
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: 240,
        padding: [12, 8, 0, 0],
        legend: { show: false },
        cursor: { points: { show: false }, drag: { x: false, y: false } },
        scales: { x: { time: true }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 60 },
          { ...axis, size: 62, values: (_, ticks) => ticks.map((tick, place) => (place > 0 && words(tick) === words(ticks[place - 1] ?? 0) ? "" : words(tick))) },
        ],
        series: [
          {},
          ...(stacked ? shown.toReversed() : shown).map(({ one, place }) =>
            stacked
              ? { label: one.name, fill: colour(place), width: 0, points: { show: false }, paths: uPlot.paths.bars?.({ size: [0.7, 32], radius: 0.1 }) }
              : { label: one.name, stroke: colour(place), width: 2, points: { show: true, size: 5 }, spanGaps: true },
          ),
        ] as uPlot.Series[],
      },
      [days, ...(stacked ? piled(series) : series.map((one) => one.values))] as uPlot.AlignedData,
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 240 }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [days, series, stacked, words, dark]);
  return <div ref={frame} role="img" aria-label={label} className="w-full overflow-hidden" />;
}
