import type { EChartsOption } from 'echarts';
import type { Panel } from '../panel.ts';
import { median, spread } from '../ratio.ts';
import { textOf } from '../unit.ts';
import type { Theme } from './theme.ts';

const ROW_PX = 28;
const HEAD_PX = 56;
/** Of a letter of a name, wider than it is with most fonts. */
const CHARACTER_PX = 7;
/** Farther apart than that the short ones would not be seen on a straight scale. */
const FAR = 30;

/** A bar for each row, the best on top; the line over its end is the middle half of the rounds. */
export function bars(panel: Panel, theme: Theme): { option: EChartsOption; height: number } {
  const { unit, better } = panel;
  const rows = panel.rows
    .map(({ name, standing, rounds }) => {
      const [low, high] = spread(rounds);
      return { name, standing, middle: median(rounds), low, high };
    })
    .sort((a, b) => (better === 'less' ? a.middle - b.middle : b.middle - a.middle));
  const middles = rows.map(({ middle }) => middle);
  const [least, most] = [Math.min(...middles), Math.max(...middles)];
  const isLog = least > 0 && most / least > FAR;
  // A bar begins somewhere: the shortest one has a tenth of a decade at least. On its logarithmic scale
  // the library lets all bars begin at 1, so figures are drawn as multiples of where they begin.
  const origin = isLog ? 10 ** Math.floor(Math.log10(least) - 0.1) : 1;
  const longest = Math.max(...rows.map(({ name }) => name.length));
  const option: EChartsOption = {
    grid: { left: 20 + longest * CHARACTER_PX, right: 96, top: HEAD_PX, bottom: 32 },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(({ name }) => name),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: theme.line } },
      axisLabel: { color: theme.text, fontSize: 12 },
    },
    xAxis: {
      type: isLog ? 'log' : 'value',
      min: isLog ? 1 : 0,
      axisLabel: {
        color: theme.quiet,
        formatter: (times: number) => textOf(times * origin, unit),
      },
      splitLine: { lineStyle: { color: theme.line } },
      splitNumber: 5,
    },
    series: [
      {
        type: 'bar',
        barWidth: 16,
        data: rows.map(({ middle, standing }) => ({
          value: middle / origin,
          itemStyle: { color: theme.standings[standing] },
        })),
      },
      {
        type: 'custom',
        data: rows.map(({ low, high, middle }, place) => [
          low / origin,
          high / origin,
          place,
          middle,
        ]),
        encode: { x: [0, 1], y: 2 },
        renderItem: (_, api) => {
          const [low, high, place, middle] = [0, 1, 2, 3].map((at) => Number(api.value(at))) as [
            number,
            number,
            number,
            number,
          ];
          const [begin = 0, y = 0] = api.coord([low, place]);
          const [end = 0] = api.coord([high, place]);
          return {
            type: 'group',
            children: [
              {
                type: 'line',
                shape: { x1: begin, x2: end, y1: y, y2: y },
                style: { stroke: theme.text, lineWidth: 1.5 },
              },
              ...[begin, end].map((x) => ({
                type: 'line' as const,
                shape: { x1: x, x2: x, y1: y - 4, y2: y + 4 },
                style: { stroke: theme.text, lineWidth: 1.5 },
              })),
              {
                type: 'text',
                x: end + 8,
                y,
                style: {
                  text: textOf(middle, unit),
                  fill: theme.text,
                  fontSize: 12,
                  verticalAlign: 'middle',
                },
              },
            ],
          };
        },
      },
    ],
  };
  return { option, height: HEAD_PX + rows.length * ROW_PX + 40 };
}
