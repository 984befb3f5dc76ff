import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Journal, readJournal } from '../../support/journal.ts';

function freshPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'redcache-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'notes.jsonl');
}

test('what is written is there at once, in order, with its bigints', () => {
  const path = freshPath();
  const journal = new Journal<object>(path);
  journal.write({ is: 'first', atNs: 2n ** 60n, text: '12 n' });
  expect(readJournal(path)).toEqual([{ is: 'first', atNs: 2n ** 60n, text: '12 n' }]);
  journal.write({ is: 'second' });
  expect(readJournal(path)).toHaveLength(2);
});

test('a line that its writer did not finish is left out, and so is all of a file that is not there', () => {
  const path = freshPath();
  expect(readJournal(path)).toEqual([]);
  new Journal<object>(path).write({ is: 'whole' });
  appendFileSync(path, '{"is":"ha');
  expect(readJournal(path)).toEqual([{ is: 'whole' }]);
});
