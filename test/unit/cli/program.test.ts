import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'slotgate-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function run(line: string, env: Readonly<Record<string, string>> = {}) {
  let out = '';
  let err = '';
  const { exitCode } = await runCli(line === '' ? [] : line.split(' '), {
    env,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { exitCode, out, err };
}

describe('slotgate', () => {
  it('prints its version', async () => {
    for (const line of ['--version', '-V']) {
      expect(await run(line)).toEqual({
        exitCode: 0,
        out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
        err: '',
      });
    }
  });

  it.each(['', '--help', 'help'])('explains itself: "%s"', async (line) => {
    const { exitCode, out, err } = await run(line);
    expect([exitCode, err]).toEqual([0, '']);
    for (const name of ['serve', 'local', 'config', 'healthcheck', 'Examples:', 'Exit codes:']) {
      expect(out).toContain(name);
    }
  });

  it.each([
    ['help serve', '--seeds'],
    ['serve --help', 'SLOTGATE_HTTP__PORT'],
    ['local --help', '--shards'],
    ['config --help', 'print-default'],
    ['help config check', '--show'],
    ['healthcheck --help', '--redis'],
    ['status --help', '--watch'],
    ['help scale', '--dry-run'],
    ['rebalance --help', '--by'],
    ['help jobs', 'cancel'],
    ['jobs pause --help', 'end what it has in hand'],
  ])('explains a command: %s', async (line, words) => {
    const { exitCode, out, err } = await run(line);
    expect([exitCode, err]).toEqual([0, '']);
    expect(out).toContain(words);
  });

  it.each([
    ['serv', 'slotgate: unknown command', 'Did you mean serve?'],
    [
      'help nope',
      'slotgate: unknown command',
      'allowed: serve, local, status, scale, rebalance, jobs, failover, restart-nodes, config, commands, healthcheck',
    ],
    ['--bogus', 'slotgate: unknown option', 'allowed: --version, --help'],
    ['config', 'slotgate config: a subcommand is missing', 'allowed: check, print-default, schema'],
    ['config chek', 'slotgate config: unknown command', 'Did you mean check?'],
    ['serve --prot 1', 'slotgate serve: unknown option', 'Did you mean --port?'],
    ['failover 1 --port 1', "unknown option '--port' (Did you mean --http-port?)", '--help'],
    ['failover 1 --colour 1', "unknown option '--colour'; allowed: --to", '--help'],
    ['config check --set prt=1', '--set prt: there is no setting', 'did you mean port?'],
    ['config check --set port', '--set "port" is not allowed', 'allowed: key=value'],
    ['serve --port', 'slotgate serve: option', '--port <port>'],
    ['serve extra', 'slotgate serve: too many arguments', 'Expected 0'],
    ['serve slotgate.yaml', 'slotgate serve: did you mean -c slotgate.yaml?', '--help explains'],
    ['config check x.yml', 'slotgate config check: did you mean -c x.yml?', '--help explains'],
    ['serve --set foo=1', 'there is no setting foo', 'see slotgate config print-default'],
    ['serve --port abc', '--port: port: "abc" is not allowed', 'allowed: a whole number'],
    ['serve --workers 65', '--workers: ', 'allowed: auto or a whole number from 1 to 64'],
    ['serve --set port', '--set "port" is not allowed', 'allowed: key=value'],
    ['serve --set prt=1', '--set prt: there is no setting', 'did you mean port?'],
    ['healthcheck --url ftp://x', '--url "ftp://x" is not allowed', 'allowed: an http:// URL'],
    ['healthcheck --port 0', '--port', 'allowed: a host and a port from 1 to 65535'],
    ['healthcheck --http-port 0', '--http-port', 'allowed: a host and a port from 1 to 65535'],
    ['healthcheck --timeout soon', '--timeout "soon"', 'allowed: a time such as'],
    ['healthcheck --url http://a --host b', 'cannot be used with', '--host'],
  ])('answers misuse with one line and exit code 2: %s', async (line, wrong, allowed) => {
    const { exitCode, out, err } = await run(line);
    expect([exitCode, out]).toEqual([2, '']);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect(err).toContain(wrong);
    expect(err).toContain(allowed);
  });
});

describe('slotgate config', () => {
  it('prints a default file that check accepts', async () => {
    const { out } = await run('config print-default');
    const file = write('default.yaml', out);
    const checked = await run(`config check -c ${file}`);
    expect(checked).toEqual({
      exitCode: 0,
      out: expect.stringMatching(/default\.yaml: valid, 0 settings besides the defaults\n$/),
      err: '',
    });
  });

  it('counts what differs from the defaults, and warns of denied commands that do not exist', async () => {
    const file = write(
      'deny.yaml',
      'port: 6379\ncommands:\n  deny: [flushal, config|set, debug]\n',
    );
    const { exitCode, out, err } = await run(`config check -c ${file}`);
    expect([exitCode, out]).toEqual([0, `${file}: valid, 1 setting besides the defaults\n`]);
    expect(err).toMatch(/^warning: commands\.deny names flushal, .*; did you mean flushall\?\n$/);
  });

  it.each([
    ['eval', 'names eval, but not eval_ro, evalsha, evalsha_ro, fcall, fcall_ro: scripts run'],
    ['eval,eval_ro,evalsha,evalsha_ro', 'but not fcall, fcall_ro: scripts run by these, too'],
    ['eval,eval_ro,script|load,fcall', 'names eval, eval_ro, fcall, but not fcall_ro: scripts'],
    ['eval,eval_ro,evalsha,evalsha_ro,fcall,fcall_ro', ''],
    // What no client can bring in cannot be run by its name.
    ['eval,eval_ro,script,function', ''],
    ['function|load,keys', ''],
  ])('warns of ways to run scripts that are left open: %s', async (denied, words) => {
    const { exitCode, err } = await run(`config check --set commands.deny=${denied}`);
    expect([exitCode, err === '']).toEqual([0, words === '']);
    expect(err).toContain(words);
  });

  it('checks what --set says as serve would take it', async () => {
    const file = write('set.yaml', 'port: 6379\n');
    const { exitCode, out, err } = await run(
      `config check -c ${file} --set retry.sentWrites=yes --set commands.deny=flushal`,
    );
    expect([exitCode, out]).toEqual([0, `${file}: valid, 2 settings besides the defaults\n`]);
    expect(err).toContain('did you mean flushall?');
  });

  it('tells flags that npm kept for itself', async () => {
    const env = { npm_lifecycle_event: 'start', npm_config_port: 'true' };
    const { exitCode, err } = await run('local 20201', env);
    expect([exitCode, err]).toEqual([
      2,
      'slotgate: npm kept --port for itself: write npm start -- --port 20201\n',
    ]);
  });

  it('prints a JSON Schema', async () => {
    const { out, exitCode } = await run('config schema');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'slotgate', type: 'object' });
  });

  it('names what is wrong, without a stack trace, exit code 1', async () => {
    const file = write('bad.yaml', 'port: 1\nclustr: {}\n');
    const env = { SLOTGATE_WORKERS: '0' };
    const { exitCode, out, err } = await run(`config check -c ${file}`, env);
    expect([exitCode, out]).toEqual([1, '']);
    expect(err).toContain('slotgate: 2 problems in the configuration:\n');
    expect(err).toContain(`${file}:2:1: unknown key "clustr"; did you mean "cluster"?`);
    expect(err).toContain('SLOTGATE_WORKERS: workers: 0 is not allowed');
    expect(err).not.toContain('    at ');
  });

  it('takes the file from SLOTGATE_CONFIG, and -c before it', async () => {
    const good = write('good.yaml', 'port: 1\n');
    const env = { SLOTGATE_CONFIG: join(folder, 'missing.yaml') };
    expect((await run('config check', env)).err).toContain('missing.yaml: could not read the file');
    expect((await run(`config check -c ${good}`, env)).out).toContain('valid, 1 setting besides');
    expect((await run('config check', { SLOTGATE_CONFIG: '' })).exitCode).toBe(0);
  });

  it('shows what a configuration amounts to, without secrets, and warns', async () => {
    const file = write('show.yaml', 'cluster: { password: hunter2 }\nbind: 0.0.0.0\n');
    const { exitCode, out, err } = await run(`config check --show -c ${file}`);
    expect(exitCode).toBe(0);
    expect(out).toContain('password: "***"');
    expect(out + err).not.toContain('hunter2');
    expect(err).toMatch(/^warning: clients from other machines will be refused/);
  });
});

describe('slotgate serve', () => {
  it('prints configuration errors without starting anything', async () => {
    const file = write('serve.yaml', 'prot: 1\n');
    const { exitCode, err } = await run(`serve -c ${file}`);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^slotgate: .*serve\.yaml:1:1: unknown key "prot"; did you mean "port"\?/);
  });
});
