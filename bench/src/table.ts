/** Columns as wide as they need to be; the first is flush left, the others flush right. */
export function tableOf(lines: readonly (readonly string[])[]): string {
  const columns = Math.max(...lines.map((line) => line.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) => line.map((cell, column) => padded(cell, widths[column] as number, column)))
    .map((cells) => cells.join('  ').trimEnd())
    .join('\n');
}

const padded = (cell: string, width: number, column: number): string =>
  column === 0 ? cell.padEnd(width) : cell.padStart(width);
