import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  checkedResult,
  RESULT_SCHEMA,
  ResultFileError,
  readResultFile,
  writeResultFile,
} from '../src/result-file.ts';
import { examplePanel, fileOf } from './result-examples.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'redcache-result-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('what is written is what is read', async () => {
  const path = join(folder, 'new', 'a.json');
  await writeResultFile(path, fileOf(examplePanel));
  expect(await readResultFile(path)).toEqual(JSON.parse(JSON.stringify(fileOf(examplePanel))));
});

test('what could not be read again is not written', async () => {
  const wrong = fileOf({ ...examplePanel, again: [Number.NaN, 1, 1] });
  await expect(writeResultFile(join(folder, 'a.json'), wrong)).rejects.toThrow(ResultFileError);
  expect(await readdir(folder)).toEqual([]);
});

describe('a file is refused with its name', () => {
  const refused = (content: unknown, message: string | RegExp) => {
    const check = () => checkedResult('a.json', JSON.parse(JSON.stringify(content)));
    expect(check).toThrow(ResultFileError);
    expect(check).toThrow(message);
  };
  const file = fileOf(examplePanel);

  test('that is not there, or no JSON', async () => {
    const path = join(folder, 'a.json');
    await expect(readResultFile(path)).rejects.toThrow(path);
    await writeFile(path, '{');
    await expect(readResultFile(path)).rejects.toThrow(path);
  });

  test('of another schema, whatever else is in it', () => {
    refused({ schema: 99 }, `a.json has schema 99, and ${RESULT_SCHEMA} is what can be read`);
    refused(null, 'has schema undefined');
    refused([], 'has schema undefined');
  });

  test('with something missing or unknown, saying where', () => {
    refused({ ...file, machine: { ...file.machine, cpu: '' } }, 'machine.cpu');
    refused({ ...file, more: 1 }, 'more');
    refused({ ...file, date: 'yesterday' }, 'date');
  });

  test('with figures that are compared and are not of the same rounds', () => {
    const [first, ...others] = examplePanel.rows;
    const rows = [{ ...first, rounds: [1] }, ...others] as typeof examplePanel.rows;
    refused(fileOf({ ...examplePanel, rows }), 'as many rounds');
    refused(fileOf({ ...examplePanel, again: [1] }), 'as often');
  });

  test('with two of the same name', () => {
    refused(fileOf(examplePanel, examplePanel), 'same setting and figure');
    const rows = [...examplePanel.rows, ...examplePanel.rows];
    refused(fileOf({ ...examplePanel, rows }), 'same name and place');
    refused({ ...file, scenarios: [...file.scenarios, ...file.scenarios] }, 'two scenarios');
  });

  test('with places and no axis, or an axis and no places', () => {
    refused(fileOf({ ...examplePanel, along: 'keys' }), 'axis');
    const rows = examplePanel.rows.map((row) => ({ ...row, at: 1 }));
    refused(fileOf({ ...examplePanel, rows }), 'axis');
  });
});
