import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import {
  allFree,
  BUS_OFFSET,
  consecutivePorts,
  freePorts,
  portProblem,
  requireFreePort,
} from '../../../src/local/ports.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function occupy(port: number): Promise<void> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
}

test('free ports are free with their bus ports, and none is given twice', async () => {
  const ports = await freePorts(40);
  expect(new Set(ports.flatMap((port) => [port, port + BUS_OFFSET])).size).toBe(80);
  expect(Math.max(...ports)).toBeLessThan(55_000);
  expect(await allFree(ports)).toBe(true);
});

test('ports that the caller wants for itself are not chosen', async () => {
  const avoid = Array.from({ length: 40_000 }, (_, index) => 11_000 + index * 2);
  const ports = await freePorts(3, avoid);
  expect(ports.every((port) => port % 2 === 1)).toBe(true);
});

test('a busy node port is named with the option', async () => {
  const [port = 0] = await freePorts(1);
  await occupy(port);
  await expect(consecutivePorts(port - 1, 3)).rejects.toThrow(
    `Port ${port} is in use; choose another with --node-port.`,
  );
  expect(await allFree([port])).toBe(false);
});

test('a busy bus port is named with the node port it belongs to', async () => {
  const [port = 0] = await freePorts(1);
  await occupy(port + BUS_OFFSET);
  const message = `Port ${port + BUS_OFFSET} (bus of node port ${port}) is in use`;
  await expect(consecutivePorts(port, 1)).rejects.toThrow(message);
});

test('a node port that the proxy is about to take counts as busy', async () => {
  const [port = 0] = await freePorts(1);
  await expect(consecutivePorts(port, 1, [port])).rejects.toThrow(`Port ${port} is in use`);
});

test('node ports must leave room for the nodes and their bus ports', async () => {
  await expect(consecutivePorts(55_534, 6)).rejects.toThrow('allowed: 1 to 55530');
  await expect(consecutivePorts(0, 6)).rejects.toThrow('--node-port 0 is not allowed');
});

test('a busy port of our own is named with its option', async () => {
  const [port = 0] = await freePorts(1);
  await requireFreePort(port, '--port');
  await occupy(port);
  expect(await portProblem(port)).toBe('EADDRINUSE');
  await expect(requireFreePort(port, '--http-port')).rejects.toMatchObject({
    code: 'address-in-use',
    message: `Port ${port} is in use; choose another with --http-port.`,
  });
});
