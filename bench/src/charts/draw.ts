import { type EChartsOption, init } from 'echarts';
import type { Panel } from '../panel.ts';
import { bars } from './bars.ts';
import { lines } from './lines.ts';
import { THEMES, type ThemeName } from './theme.ts';

const WIDTH = 840;
/** Without quotes, which the attribute that it ends up in has already. */
const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif';

/** What is drawn of a panel, and what is said above it. */
export interface Picture {
  readonly title: string;
  /** In smaller letters under the title. */
  readonly note: string;
  readonly panel: Panel;
}

/** The SVG of a panel: bars of its rows, or lines where it has an axis. The same for the same rounds. */
export function draw({ title, note, panel }: Picture, theme: ThemeName): string {
  const colours = THEMES[theme];
  const { option, height } = (panel.along === undefined ? bars : lines)(panel, colours);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const whole: EChartsOption = {
    animation: false,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: FONT, color: colours.text },
    title: {
      text: title,
      subtext: note,
      left: 8,
      top: 4,
      textStyle: { fontSize: 15, color: colours.text },
      subtextStyle: { fontSize: 12, color: colours.quiet },
    },
    ...option,
  };
  try {
    chart.setOption(whole);
    return reproducible(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/**
 * Names of classes and of clipping paths have the number of the chart within its process, which
 * depends on what was drawn before. What the classes style is the hovering of a page that draws by
 * itself: here they go.
 */
const reproducible = (svg: string): string =>
  `${svg
    .replaceAll(/ class="zr\d+-cls-\d+"/g, '')
    .replaceAll(/\bzr\d+-c(\d+)\b/g, 'clip-$1')
    .replaceAll(/ ecmeta_\w+="[^"]*"/g, '')
    .replaceAll(/<style[^>]*>[\s\S]*?<\/style>\s*/g, '')
    .trim()}\n`;
