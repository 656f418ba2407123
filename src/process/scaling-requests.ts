/** Scaling for the HTTP API: requests checked by the rules of the command line, refusals as problems. */
import { ApiError } from '../admin/api-error.ts';
import type { ProblemStatus } from '../admin/problem.ts';
import type { ScaleRequest, ScalingApi, ScalingKind } from '../admin/scaling-api.ts';
import type { ClusterReport } from '../control/scaling/job-report.ts';
import { checkScaleRequest, RequestRefused } from '../control/scaling/scale-request.ts';
import {
  type Scaling,
  type ScalingRefusalReason,
  ScalingRefused,
} from '../control/scaling/scaling.ts';

export function scalingApi(
  scaling: Scaling,
  status: () => Promise<ClusterReport | null>,
): ScalingApi {
  return withCheckedRequests({
    status,
    plan: (_kind, request) => told(() => scaling.plan(request)),
    start: (kind, request) => told(() => scaling.start(kind, request)),
    jobs: async () => scaling.jobs,
    job: async (id) => scaling.job(id),
    steer: (id, order) => told(async () => scaling.steer(id, order)),
  });
}

export function withCheckedRequests(scaling: ScalingApi): ScalingApi {
  return {
    status: () => scaling.status(),
    plan: async (kind, request) => scaling.plan(kind, checked(kind, request)),
    start: async (kind, request) => scaling.start(kind, checked(kind, request)),
    jobs: () => scaling.jobs(),
    job: (id) => scaling.job(id),
    steer: (id, order) => scaling.steer(id, order),
  };
}

const STATUS: Readonly<Record<ScalingRefusalReason, ProblemStatus>> = {
  'no-cluster': 409,
  busy: 409,
  'unknown-job': 404,
  'not-now': 409,
};

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ScalingRefused)) throw error;
    const { reason, message } = error;
    throw new ApiError(STATUS[reason], message, { reason });
  }
}

/** @throws ApiError that names the field */
function checked(kind: ScalingKind, request: ScaleRequest): ScaleRequest {
  try {
    checkScaleRequest(kind, request);
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error;
    const { field, message } = error;
    const text = field === '' ? message : `${field}: ${message}`;
    throw new ApiError(400, text, { reason: 'not-allowed' });
  }
  return request;
}
