/**
 * The text of /metrics: prom-client registries that render the families over the merged picture of
 * the workers themselves, and beside them what control counts with prom-client's own metrics and
 * prom-client's process and Node.js defaults.
 *
 * There are two registries because prom-client chooses the format per registry and renames counters
 * in place when it renders OpenMetrics; wrapped, the same metric can stand in both.
 */
import {
  type Counter,
  collectDefaultMetrics,
  type Gauge,
  type Histogram,
  type Metric,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import { preferredOffer } from './accept.ts';
import { type Family, Lines } from './families.ts';
import type { MergedMetrics } from './merge.ts';
import {
  type Build,
  buildInfo,
  type ClusterStatus,
  clusterFamilies,
  commandFamilies,
  errorReplies,
  holdFamilies,
  nodeFamilies,
  type PlaceOf,
  upstreamDurations,
  workerFamilies,
} from './picture-families.ts';
import { scalarFamilies } from './scalar-families.ts';

export interface ExpositionOptions {
  readonly totals: () => MergedMetrics;
  readonly cluster: () => ClusterStatus;
  readonly nodePlace: PlaceOf;
  /** Absent: there is nobody to tell. */
  readonly unresponsiveWorkers?: () => number;
  readonly build: Build;
  /** Further ones, shown after those of the workers. */
  readonly families?: readonly Family[];
}

export interface Exposition {
  /** The whole text, in the format that the Accept header asks for. */
  render(accept: string | undefined): Promise<{ contentType: string; body: string }>;
  /** Adds a metric that control counts itself; create it with `registers: []`. */
  add(metric: Counter | Gauge | Histogram): void;
}

const TEXT = {
  type: 'text/plain',
  version: '0.0.4',
  contentType: Registry.PROMETHEUS_CONTENT_TYPE,
} as const;
const OPENMETRICS = {
  type: 'application/openmetrics-text',
  version: '1.0.0',
  contentType: Registry.OPENMETRICS_CONTENT_TYPE,
} as const;

/** prom-client's gauges that are named as counters: promtool rejects them, nobody needs them. */
const DROPPED_DEFAULTS = /^nodejs_active_\w+_total$/;

/** Milliseconds between prom-client's readings of the loop's delay (its default 10 wakes twice as often). */
const LOOP_DELAY_RESOLUTION_MS = 20;

export function createExposition(options: ExpositionOptions): Exposition {
  let picture = options.totals();
  const families = slotgateFamilies(options, () => picture);
  const text = new FamilyRegistry(families);
  const openMetrics = new FamilyRegistry<OpenMetricsContentType>(families);
  openMetrics.setContentType(OPENMETRICS.contentType);
  const add = (metric: Metric): void => {
    text.registerMetric(wrappedMetric(metric));
    openMetrics.registerMetric(wrappedMetric(metric));
  };
  for (const metric of processMetrics()) add(metric);

  return {
    add,
    async render(accept) {
      const { contentType } = preferredOffer<typeof TEXT | typeof OPENMETRICS>(accept, [
        TEXT,
        OPENMETRICS,
      ]);
      picture = options.totals();
      const registry = contentType === TEXT.contentType ? text : openMetrics;
      return { contentType, body: await registry.metrics() };
    },
  };
}

/** A registry whose text begins with families that write their own lines. */
class FamilyRegistry<T extends RegistryContentType = PrometheusContentType> extends Registry<T> {
  readonly #families: readonly Family[];
  readonly #names: ReadonlySet<string>;

  constructor(families: readonly Family[]) {
    super();
    this.#families = families;
    this.#names = new Set(families.map(({ name }) => name));
  }

  /** The families are written before the first await: one scrape shows one picture. */
  override async metrics(): Promise<string> {
    const isOpenMetrics = this.contentType === OPENMETRICS.contentType;
    const own = this.#families.map((family) =>
      isOpenMetrics ? openMetricsText(family, this.#names) : plainText(family),
    );
    return own.join('') + (await super.metrics());
  }
}

function plainText(family: Family): string {
  return `${familyText(family, family)}\n`;
}

/**
 * OpenMetrics names a counter's family without _total. Where a gauge has that name already (x_total
 * counts what came, x what is there), the counter keeps its full name and goes without a type: two
 * families of one name are not allowed.
 */
function openMetricsText(family: Family, names: ReadonlySet<string>): string {
  const { name, type } = family;
  if (type !== 'counter') return familyText(family, family);
  const bare = name.replace(/_total$/, '');
  return familyText(family, names.has(bare) ? { name, type: 'unknown' } : { name: bare, type });
}

function familyText(family: Family, declared: { name: string; type: string }): string {
  const lines = new Lines(family.name);
  family.write(lines);
  const { name, type } = declared;
  return `# HELP ${name} ${family.help}\n# TYPE ${name} ${type}\n${lines.text}`;
}

function processMetrics(): Metric[] {
  const defaults = new Registry();
  collectDefaultMetrics({
    register: defaults,
    eventLoopMonitoringPrecision: LOOP_DELAY_RESOLUTION_MS,
  });
  return defaults
    .getMetricsAsArray()
    .filter(({ name }) => !DROPPED_DEFAULTS.test(name))
    .map(({ name }) => defaults.getSingleMetric(name))
    .filter((metric) => metric !== undefined);
}

/** What a registry calls, in the one shape that all of prom-client's metrics share. */
interface RegistryMetric {
  name: string;
  readonly help: string;
  readonly type: string;
  get(): Promise<object>;
}

/** The same metric under a name of its own, which its registry may change. */
function wrappedMetric(metric: Metric): Metric {
  const inner = metric as unknown as RegistryMetric;
  const wrapper: RegistryMetric = {
    name: inner.name,
    help: inner.help,
    type: inner.type,
    async get() {
      return { ...(await inner.get()), name: this.name };
    },
  };
  return wrapper as unknown as Metric;
}

function slotgateFamilies(options: ExpositionOptions, picture: () => MergedMetrics): Family[] {
  return [
    buildInfo(options.build),
    ...workerFamilies(picture, options.unresponsiveWorkers ?? (() => 0)),
    ...scalarFamilies(() => picture().scalars),
    ...commandFamilies(picture),
    upstreamDurations(picture),
    ...holdFamilies(options.cluster, picture),
    ...nodeFamilies(options.nodePlace, picture),
    errorReplies(picture),
    ...clusterFamilies(options.cluster),
    ...(options.families ?? []),
  ];
}
