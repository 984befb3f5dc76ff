import { expect, test } from 'vitest';
import { SentCommands, sentOf } from '../src/monitor.ts';

const line = (origin: string, command = '"SET" "key" "value"'): string =>
  `1700000000.012345 [0 ${origin}] ${command}`;

test('a line of MONITOR names the command and the client, or says that a script did it', () => {
  expect(sentOf(line('127.0.0.1:40000', '"set" "key" "value"'))).toEqual({
    origin: '127.0.0.1:40000',
    command: 'SET',
  });
  expect(sentOf(line('[::1]:40000', '"PING"'))).toEqual({ origin: '[::1]:40000', command: 'PING' });
  expect(sentOf(line('lua')).origin).toBe('lua');
});

test('what the arguments of a command look like changes nothing', () => {
  const echo = line('127.0.0.1:1', '"ECHO" "1.1 [0 lua] \\"GET\\""');
  expect(sentOf(echo)).toEqual({ origin: '127.0.0.1:1', command: 'ECHO' });
});

test('what is no line of MONITOR is a mistake', () => {
  expect(() => sentOf('OK')).toThrow('OK');
});

test('commands are counted that clients sent: none of a script, none of others', () => {
  const commands = new SentCommands(new Set(['127.0.0.1:1']));
  for (const origin of ['127.0.0.1:1', '127.0.0.1:2', 'lua', 'lua', '127.0.0.1:3'])
    commands.take(line(origin));
  commands.take(line('127.0.0.1:2', '"PING"'));
  expect(commands.count).toBe(3);
  expect(Object.fromEntries(commands.byName)).toEqual({ SET: 2, PING: 1 });
});
