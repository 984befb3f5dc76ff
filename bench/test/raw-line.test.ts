import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { frame, RawLine } from '../src/raw-line.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A line to a server that answers each ECHO, byte by byte, with `push` before it. */
async function openLine(push: string): Promise<RawLine> {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      const echo = /end-of-commands-\d+\./.exec(String(chunk))?.[0];
      void trickle(socket, `${push}$${echo?.length}\r\n${echo}\r\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const line = await RawLine.open(`redis://127.0.0.1:${port}`, 'key:');
  closers.push(() => {
    line.close();
    server.close();
  });
  return line;
}

async function trickle(socket: Socket, text: string): Promise<void> {
  for (const byte of text)
    if (!socket.destroyed) await new Promise<unknown>((sent) => socket.write(byte, sent));
}

test('what comes in pieces is counted once, and sending ends behind it', async () => {
  const line = await openLine('>key:1 key:2 kekey:3\r\n');
  expect(line.found).toBe(3);
  await line.send(frame('PING'));
  expect(line.found).toBe(6);
});

test('sending fails when the server goes away', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  await expect(RawLine.open(`redis://127.0.0.1:${port}`, 'key:')).rejects.toThrow('closed');
});

test('a frame counts bytes, not characters', () => {
  expect(String(frame('SET', 'é', ''))).toBe('*3\r\n$3\r\nSET\r\n$2\r\né\r\n$0\r\n\r\n');
});
