/**
 * Publishers send increasing numbers, one publisher per channel; subscribers check that they only
 * grow, and afterwards what is missing of what was acknowledged.
 */
import { keySlot } from '../../../../src/commands/slot.ts';
import type { Reply } from '../connection.ts';
import type { Report } from '../report.ts';
import { type Client, pause, UNCERTAIN, type World } from '../world.ts';

const PAUSE_MS_MAX = 30;
const SETTLE_MS = 10_000;

/** When each number was sent and answered; ms since the start. */
export class Channel {
  readonly name: string;
  readonly isSharded: boolean;
  readonly slot: number;
  readonly sentAt: number[] = [];
  /** Sparse: what is missing was not acknowledged. */
  readonly ackedAt: number[] = [];

  constructor(name: string, isSharded: boolean) {
    this.name = name;
    this.isSharded = isSharded;
    this.slot = keySlot(Buffer.from(name));
  }

  payload(number: number): string {
    return `${this.name}|${number}`;
  }
}

export function makeChannels(world: World, count: number): Channel[] {
  return Array.from({ length: count * 2 }, (_, i) => {
    const isSharded = i >= count;
    const tag = world.tags[(i * 5) % world.tags.length] as string;
    return new Channel(`${tag}${isSharded ? 'shard' : 'news'}:${i}`, isSharded);
  });
}

export async function publish(client: Client, channels: readonly Channel[]): Promise<void> {
  const { world, random } = client;
  const { report } = world;
  await client.connect(2);
  while (!world.isStopping && channels.length > 0) {
    const channel = random.pick(channels);
    const number = channel.sentAt.length;
    channel.sentAt.push(report.now());
    const command = channel.isSharded ? 'SPUBLISH' : 'PUBLISH';
    const answer = await client.ask(command, channel.name, channel.payload(number));
    if (typeof answer === 'number') channel.ackedAt[number] = report.now();
    else if (answer !== UNCERTAIN) client.complain(`${command} answered ${String(answer)}`);
    await pause(random.int(PAUSE_MS_MAX));
  }
}

/** One channel as one subscriber hears it. */
class Hearing {
  readonly channel: Channel;
  readonly verb: 'SUBSCRIBE' | 'PSUBSCRIBE' | 'SSUBSCRIBE';
  isOn = false;
  last = -1;
  /** From this number on all is due; Infinity while it is not subscribed. */
  dueFrom = Number.POSITIVE_INFINITY;
  readonly missing: number[] = [];

  constructor(channel: Channel, verb: Hearing['verb']) {
    this.channel = channel;
    this.verb = verb;
  }

  /** Matches this channel alone. */
  get topic(): string {
    if (this.verb !== 'PSUBSCRIBE') return this.channel.name;
    return `*${this.channel.name.slice(this.channel.name.indexOf('}') + 1)}`;
  }

  get offVerb(): string {
    return this.verb.replace('SUB', 'UNSUB');
  }

  onConfirmed(isOn: boolean): void {
    this.isOn = isOn;
    this.dueFrom = isOn ? this.channel.sentAt.length : Number.POSITIVE_INFINITY;
  }

  /** '' or what is wrong. */
  onNumber(number: number): string {
    if (number <= this.last) {
      return `${this.verb} ${this.topic}: ${number} after ${this.last} (${number === this.last ? 'twice' : 'out of order'})`;
    }
    this.noteMissing(number);
    this.last = number;
    return '';
  }

  noteMissing(before: number): void {
    for (let n = Math.max(this.last + 1, this.dueFrom); n < before; n++) this.missing.push(n);
  }

  /** All that was acknowledged has come, or was noted as missing. */
  get isComplete(): boolean {
    const { ackedAt } = this.channel;
    return !this.isOn || ackedAt.length - 1 <= this.last || ackedAt.length <= this.dueFrom;
  }

  settle(report: Report, who: string): void {
    if (this.isOn) this.noteMissing(this.channel.ackedAt.length);
    for (const number of this.missing) {
      const [sentAt, ackedAt] = [this.channel.sentAt[number], this.channel.ackedAt[number]];
      if (sentAt === undefined || ackedAt === undefined) continue;
      const { isSharded, slot } = this.channel;
      if (report.mayLose(sentAt, ackedAt)) report.count('messages lost around a kill');
      else if (isSharded && report.hasChanged(slot, sentAt, ackedAt)) {
        report.count('shard messages lost as the slot changed its owner');
      } else {
        report.count('messages lost otherwise');
        const when = `${Math.round(sentAt)} to ${Math.round(ackedAt)} ms`;
        report.complain(who, `${this.verb} ${this.topic} lacks ${number}, published at ${when}`);
      }
    }
  }
}

export async function subscribe(
  client: Client,
  channels: readonly Channel[],
  verb: Hearing['verb'],
): Promise<void> {
  const { world, random } = client;
  const fitting = channels.filter(({ isSharded }) => isSharded === (verb === 'SSUBSCRIBE'));
  const hearings = fitting.filter(() => random.chance(0.6)).map((each) => new Hearing(each, verb));
  const byTopic = new Map(hearings.map((hearing) => [hearing.topic, hearing]));
  await client.connect(random.pick([2, 3] as const), (frame) => onPush(client, byTopic, frame));
  const { connection } = client;
  for (const { topic } of hearings) connection.say(verb, topic);
  while (!world.isStopping) {
    await pause(random.between(200, 2000));
    if (connection.isClosed) throw new Error('a subscriber was cut off');
    if (hearings.length === 0 || world.isStopping) continue;
    const hearing = random.pick(hearings);
    if (random.chance(0.3)) connection.say(hearing.isOn ? hearing.offVerb : verb, hearing.topic);
    if (connection.protocol === 3) await ping(client);
  }
  await settle(client, hearings);
}

/** A RESP3 client may mix commands and messages. */
async function ping(client: Client): Promise<void> {
  const answer = await client.ask('PING', client.name);
  if (answer !== client.name) client.complain(`PING answered ${String(answer)}`);
}

async function settle(client: Client, hearings: readonly Hearing[]): Promise<void> {
  const until = performance.now() + SETTLE_MS;
  const { report } = client.world;
  // Publishers end with their command in flight.
  await pause(200);
  while (performance.now() < until && !hearings.every(({ isComplete }) => isComplete)) {
    await pause(50);
  }
  for (const hearing of hearings) hearing.settle(report, client.name);
}

function onPush(client: Client, byTopic: ReadonlyMap<string, Hearing>, frame: Reply[]): void {
  const [kind, topic] = frame.map(String);
  const hearing = byTopic.get(topic as string);
  if (hearing === undefined) {
    client.complain(`push of nobody's topic: ${JSON.stringify(frame)}`);
    return;
  }
  if (kind === hearing.verb.toLowerCase()) hearing.onConfirmed(true);
  else if (kind === hearing.offVerb.toLowerCase()) hearing.onConfirmed(false);
  else onMessage(client, hearing, frame);
}

function onMessage(client: Client, hearing: Hearing, frame: Reply[]): void {
  const { channel, verb } = hearing;
  const wanted = { SUBSCRIBE: 'message', PSUBSCRIBE: 'pmessage', SSUBSCRIBE: 'smessage' }[verb];
  const [name, payload] = frame.slice(-2).map(String) as [string, string];
  const number = Number(payload.slice(channel.name.length + 1));
  const isOurs =
    frame[0] === wanted &&
    name === channel.name &&
    payload === channel.payload(number) &&
    number < channel.sentAt.length;
  client.world.report.count('messages');
  const problem = isOurs ? hearing.onNumber(number) : `message ${JSON.stringify(frame)}`;
  if (problem !== '') client.complain(problem);
}
