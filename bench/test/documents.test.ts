import { expect, test } from 'vitest';
import { fitted } from '../src/capacity.ts';
import { DocumentError, filledIn } from '../src/documents.ts';
import { examplePanel, fileOf } from './result-examples.ts';

const file = fileOf(examplePanel);
const place = (what: string, filling = 'old\n'): string =>
  `before\n<!-- figures: ${what} -->\n${filling}<!-- end of figures -->\nafter\n`;

test('a place of a scenario gets its tables, and what is around stays', () => {
  const text = filledIn('a.md', place('hit'), file, 'a.json');
  expect(text).toMatch(/^before\n<!-- figures: hit -->\n/);
  expect(text).toMatch(/<!-- end of figures -->\nafter\n$/);
  expect(text).toContain('| ours | 200 ns |  | 2.00 × |');
  expect(text).not.toContain('old');
});

test('filled in twice it is the same', () => {
  const once = filledIn('a.md', place('hit') + place('source', ''), file, 'a.json');
  expect(filledIn('a.md', once, file, 'a.json')).toBe(once);
  expect(once).toContain('Example 3000');
});

test('what the file does not have stays as it is', () => {
  for (const what of ['unknown', 'three', 'capacity'])
    expect(filledIn('a.md', place(what), file, 'a.json')).toBe(place(what));
});

test('a place without an end is a mistake', () => {
  const broken = '<!-- figures: hit -->\nold\n';
  expect(() => filledIn('a.md', broken, file, 'a.json')).toThrow(DocumentError);
});

test('memory is planned along the line that is nearest to what was measured', () => {
  const bytes = fitted([
    { x: 1, y: 100 },
    { x: 2, y: 150 },
    { x: 3, y: 200 },
  ]);
  expect(bytes(10)).toBeCloseTo(550);
  expect(
    fitted([
      { x: 1, y: 5 },
      { x: 2, y: 1 },
    ])(100),
  ).toBe(0);
});
