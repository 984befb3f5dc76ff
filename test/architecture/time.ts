import { isName, lineOf, nodesOf, type SyntaxNode } from './syntax.ts';

/** Not `setImmediate`: it waits for a turn of the loop, not for a time. */
const TIMERS = ['setTimeout', 'setInterval'];
const READINGS = [
  ['Date', 'now'],
  ['performance', 'now'],
  ['process', 'hrtime'],
  ['AbortSignal', 'timeout'],
] as const;

/** Where a source takes the time or a timer from anything but a Clock, one line each. */
export function ownTime(file: string, source: string): string[] {
  return nodesOf(file, source).flatMap((node) => {
    const what = takenFrom(node);
    return what === undefined ? [] : [`${file}:${lineOf(source, node)}: ${what}`];
  });
}

/** They keep times that they are given. */
function isOfHistograms(specifier: SyntaxNode): boolean {
  const { name } = (specifier.imported ?? { name: '' }) as { name: string };
  return name.endsWith('Histogram');
}

function takenFrom(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'CallExpression':
      return TIMERS.find((timer) => isName(node.callee, timer));
    case 'MemberExpression': {
      const reading = READINGS.find(
        ([owner, name]) => isName(node.object, owner) && isName(node.property, name),
      );
      const timer = TIMERS.find((name) => isName(node.property, name));
      return reading?.join('.') ?? (isName(node.object, 'globalThis') ? timer : undefined);
    }
    case 'NewExpression':
      return isName(node.callee, 'Date') && (node.arguments as unknown[]).length === 0
        ? 'new Date()'
        : undefined;
    case 'ImportDeclaration': {
      const { value } = node.source as unknown as { value: string };
      if (!/^(node:)?(timers|perf_hooks)(\/|$)/.test(value)) return undefined;
      return (node.specifiers as readonly SyntaxNode[]).every(isOfHistograms) ? undefined : value;
    }
    default:
      return undefined;
  }
}
