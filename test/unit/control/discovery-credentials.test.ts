import { describe, expect, it } from 'vitest';
import type { Answer } from '../../support/fake-node.ts';
import { discover, fakeNode, type Member, twoShards, until } from './discovery-rig.ts';

describe('credentials', () => {
  const guarded =
    (inner: Answer, password: string): Answer =>
    (command) => {
      if (command.startsWith('AUTH')) {
        return command.endsWith(` ${password}`) ? '+OK\r\n' : '-WRONGPASS invalid pair\r\n';
      }
      return inner(command);
    };

  it('are sent before anything else', async () => {
    const members = await twoShards();
    const { node } = members[0] as Member;
    node.answer = guarded(node.answer, 'PEARL');
    const { published } = discover([node.port], { username: 'gate', password: 'pearl' });
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(node.received.slice(0, 2)).toEqual([
      'AUTH GATE PEARL',
      'CLIENT SETNAME SLOTGATE-CONTROL',
    ]);
  });

  it('that are refused are told once, with advice, and are never logged', async () => {
    const { node } = (await twoShards())[0] as Member;
    node.answer = guarded(node.answer, 'PEARL');
    const { discovery, lines } = discover([node.port], { username: '', password: 'oyster' });
    await until(() => expect(discovery.status().refreshesFailed).toBeGreaterThan(2));
    expect(discovery.status().reason).toContain('WRONGPASS');
    const told = lines.filter(({ message }) => message.includes('cluster.password'));
    expect(told).toHaveLength(1);
    expect(JSON.stringify([lines, discovery.status().reason])).not.toContain('oyster');
  });

  it('that the server repeats in its error are not repeated by us', async () => {
    const node = await fakeNode((command) => `-ERR unknown command, with args: ${command}\r\n`);
    const { discovery, lines } = discover([node.port], { password: 'oyster' });
    await until(() => expect(discovery.status().refreshesFailed).toBeGreaterThan(0));
    expect(JSON.stringify([lines, discovery.status().reason])).not.toMatch(/oyster/i);
  });

  it('with a user name work where AUTH takes only a password', async () => {
    const { node } = (await twoShards())[0] as Member;
    const inner = node.answer;
    node.answer = (command) =>
      command.startsWith('AUTH GATE ')
        ? "-ERR wrong number of arguments for 'auth' command\r\n"
        : inner(command);
    const { published } = discover([node.port], { username: 'gate', password: 'pearl' });
    await until(() => expect(published.length).toBeGreaterThan(0));
    expect(node.received).toContain('AUTH PEARL');
  });

  it('that a server does not need are not missed', async () => {
    const { node } = (await twoShards())[0] as Member;
    const inner = node.answer;
    node.answer = (command) =>
      command.startsWith('AUTH')
        ? '-ERR Client sent AUTH, but no password is set\r\n'
        : inner(command);
    const { published } = discover([node.port], { password: 'pearl' });
    await until(() => expect(published.length).toBeGreaterThan(0));
  });
});
