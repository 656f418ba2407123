/** Sessions of an HTTP server in connect-redis: PORT. */
import { createServer } from 'node:http';
import { RedisStore } from 'connect-redis';
import session from 'express-session';
import { createClient } from 'redis';
import { report, same, versionOf, writeThroughFailover } from './features.mjs';

const BROWSERS = 150;
const redis = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
const store = new RedisStore({ client: redis });
const sessions = session({ store, secret: 'words', resave: false, saveUninitialized: false });
let url = '';

const server = createServer((request, response) => {
  sessions(request, response, (error) => {
    if (error) response.writeHead(500).end(error.message);
    else response.end(String(count(request.session)));
  });
});

function count(own) {
  own.visits = (own.visits ?? 0) + 1;
  return own.visits;
}

/** One visit, with the cookie of an earlier one. */
async function visit(cookie = '') {
  const response = await fetch(url, { headers: { cookie } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(text);
  return { text, cookie: cookie || response.headers.get('set-cookie').split(';')[0] };
}

async function connect() {
  redis.on('error', () => undefined);
  await redis.connect();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}/`;
}

async function values() {
  const { cookie } = await visit();
  for (const visits of ['2', '3', '4']) same((await visit(cookie)).text, visits);
  same((await visit('connect.sid=s%3Aforged.nothing')).text, '1');
}

/** To count, list and clear, the store scans. */
async function scan() {
  const cookies = await Promise.all(Array.from({ length: BROWSERS }, () => visit()));
  same(new Set(cookies.map(({ cookie }) => cookie)).size, BROWSERS);
  same(await store.length(), BROWSERS + 2);
  same((await store.all()).length, BROWSERS + 2);
  await store.clear();
  same(await store.length(), 0);
}

async function failover() {
  const cookies = await Promise.all(Array.from({ length: 24 }, () => visit()));
  await writeThroughFailover(() => cookies.map(({ cookie }) => visit(cookie)));
  const before = await visit(cookies[0].cookie);
  same(Number((await visit(cookies[0].cookie)).text), Number(before.text) + 1);
}

await report(versionOf('connect-redis'), { connect, values, scan, failover });
