import type { EChartsOption } from 'echarts';
import type { Panel } from '../panel.ts';
import { median, spread } from '../ratio.ts';
import { textOf } from '../unit.ts';
import type { Theme } from './theme.ts';

const HEIGHT = 360;
const FAR = 30;

/** A line for each name along the axis of the panel, with the middle half of the rounds at each place. */
export function lines(panel: Panel, theme: Theme): { option: EChartsOption; height: number } {
  const { unit, along } = panel;
  const names = [...new Set(panel.rows.map(({ name }) => name))];
  const places = panel.rows.map(({ at }) => at as number);
  const middles = panel.rows.map(({ rounds }) => median(rounds));
  const isFar = (figures: readonly number[]): boolean =>
    Math.min(...figures) > 0 && Math.max(...figures) / Math.min(...figures) > FAR;
  const scale = (isLog: boolean) =>
    isLog ? ({ type: 'log' } as const) : ({ type: 'value' } as const);
  const axis = {
    axisLine: { lineStyle: { color: theme.line } },
    splitLine: { lineStyle: { color: theme.line } },
    nameTextStyle: { color: theme.quiet },
  };
  const option: EChartsOption = {
    color: [...theme.series],
    legend: {
      data: names,
      bottom: 4,
      left: 8,
      itemWidth: 18,
      itemGap: 28,
      textStyle: { color: theme.text, fontSize: 12 },
    },
    grid: { left: 12, right: 40, top: 64, bottom: 44, containLabel: true },
    xAxis: {
      ...scale(isFar(places)),
      ...axis,
      name: along ?? '',
      nameLocation: 'middle',
      nameGap: 26,
      axisLabel: {
        color: theme.quiet,
        formatter: (figure: number) => figure.toLocaleString('en'),
      },
    },
    yAxis: {
      ...scale(isFar(middles)),
      ...axis,
      axisLabel: { color: theme.quiet, formatter: (figure: number) => textOf(figure, unit) },
    },
    series: names.flatMap((name, place) => {
      const rows = panel.rows.filter((row) => row.name === name);
      const color = theme.series[place % theme.series.length] as string;
      return [
        {
          type: 'line' as const,
          name,
          symbolSize: 6,
          lineStyle: { width: 2, color },
          itemStyle: { color },
          data: rows.map(({ at, rounds }) => [at as number, median(rounds)]),
        },
        {
          type: 'custom' as const,
          name: `${name}, middle half`,
          data: rows.map(({ at, rounds }) => [at as number, ...spread(rounds)]),
          encode: { x: 0, y: [1, 2] },
          renderItem: (
            _: unknown,
            api: { value(at: number): unknown; coord(at: number[]): number[] },
          ) => {
            const at = Number(api.value(0));
            const [x = 0, low = 0] = api.coord([at, Number(api.value(1))]);
            const [, high = 0] = api.coord([at, Number(api.value(2))]);
            return {
              type: 'line' as const,
              shape: { x1: x, x2: x, y1: low, y2: high },
              style: { stroke: color, lineWidth: 1.5, opacity: 0.6 },
            };
          },
        },
      ];
    }),
  };
  return { option, height: HEIGHT };
}
