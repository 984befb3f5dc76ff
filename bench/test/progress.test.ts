import { expect, test } from 'vitest';
import { durationText, Progress } from '../src/progress.ts';
import { inTurn } from '../src/rounds.ts';

function screenOf(isTTY: boolean) {
  const texts: string[] = [];
  return { texts, screen: { isTTY, write: (text: string) => texts.push(text) } };
}

test('a terminal is told of the scenario and of each of its rounds', async () => {
  const { texts, screen } = screenOf(true);
  let nowMs = 0;
  {
    using progress = new Progress(screen, () => nowMs);
    progress.scenario('hit', 2, 9);
    nowMs = 65_000;
    await inTurn(['a'], 2, async () => 1);
  }
  expect(texts.join('')).toContain('[2 of 9] hit, warming up · 1:05');
  expect(texts.join('')).toContain('[2 of 9] hit, round 2 of 2 · 1:05');
  const before = texts.length;
  await inTurn(['a'], 1, async () => 1);
  expect(texts).toHaveLength(before);
});

test('a log is told nothing', async () => {
  const { texts, screen } = screenOf(false);
  using progress = new Progress(screen);
  progress.scenario('hit', 1, 1);
  await inTurn(['a'], 1, async () => 1);
  progress.clear();
  expect(texts).toEqual([]);
});

test('a duration is minutes and seconds', () => {
  expect([0, 59_600, 60_000, 605_000].map(durationText)).toEqual(['0:00', '1:00', '1:00', '10:05']);
});
