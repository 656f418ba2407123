import { describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

async function run(...args: string[]) {
  let out = '';
  let err = '';
  const { exitCode } = await runCli(args, {
    env: {},
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { exitCode, out, err };
}

describe('slotgate commands', () => {
  it('prints groups with what happens, outside and inside MULTI', async () => {
    const { exitCode, out } = await run('commands');
    expect(exitCode).toBe(0);
    expect(out).toMatch(
      /^To the shard of the keys.*\ninside MULTI: queued for the node\n {2}APPEND/m,
    );
    expect(out).toMatch(/^Refused: not available[\s\S]*SHUTDOWN/m);
  });

  it('prints JSON', async () => {
    const { out } = await run('commands', '-o', 'json');
    const list = JSON.parse(out) as { command: string; outside: string; inMulti: string }[];
    expect(list.find(({ command }) => command === 'MGET')).toEqual({
      command: 'MGET',
      outside: 'mget',
      inMulti: 'node',
    });
    expect(list.find(({ command }) => command === 'CLIENT ID')?.outside).toBe('local');
  });

  it('knows no other form', async () => {
    const { exitCode, err } = await run('commands', '-o', 'xml');
    expect(exitCode).toBe(2);
    expect(err).toMatch(/table, json, markdown/);
  });
});
