/** slotgate itself: a job by its HTTP API, watched until it has ended. */

import type { JobReport } from '../../src/control/scaling/job-report.ts';
import { HOST, membership, settled } from './membership.ts';
import type { Mover, Scene } from './mover.ts';

const POLL_MS = 200;

export const slotgateMover: Mover = {
  name: 'slotgate',
  async unavailable({ httpUrl }) {
    const { status } = await fetch(`${httpUrl}/api/v1/jobs`);
    return status === 404 ? 'this slotgate knows no jobs' : '';
  },
  async scale(scene, { shards, replicas }) {
    const seed = await scene.seed();
    await settled(seed);
    const { members } = await membership(seed);
    const nodes = scene.ports
      .filter((port) => !members.some((member) => member.port === port))
      .map((port) => `${HOST}:${port}`);
    const wish = { shards, replicas, nodes, any: true };
    await ended(scene, await ask(`${scene.httpUrl}/api/v1/scale`, wish));
    await settled(await scene.seed());
  },
};

async function ended({ httpUrl }: Scene, started: JobReport): Promise<void> {
  let job = started;
  while (job.endedAt === 0) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    job = await ask(`${httpUrl}/api/v1/jobs/${job.id}`);
  }
  if (job.state === 'done') return;
  const events = job.events.slice(-5).map(({ text }) => text);
  throw new Error(`job ${job.id} is ${job.state}: ${job.problem}; ${events.join('; ')}`);
}

/** @throws Error with what the API says against it */
async function ask(url: string, body?: object): Promise<JobReport> {
  const init = body && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as JobReport;
}
