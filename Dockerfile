# slotgate in one image: proxy on 6379, HTTP (health, metrics) on 8379.
#
#   docker build -t slotgate .
#   docker run --init -p 127.0.0.1:6379:6379 -p 127.0.0.1:8379:8379 \
#     -e SLOTGATE_CLUSTER__SEEDS=10.0.0.1:6379,10.0.0.2:6379 -e SLOTGATE_REQUIREPASS=... slotgate
#
# Every setting can come from the environment (SLOTGATE_SECTION__KEY) or from a file mounted over
# /etc/slotgate/slotgate.yaml. The image writes nothing: it also runs with --read-only.
#
# Checked by BuildKit's own parser and linter; not yet built by an engine.

FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:22-bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="slotgate" \
      org.opencontainers.image.description="A Redis proxy that makes a whole Redis Cluster look like one Redis" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# healthcheck finds the listener through the same file as serve.
# MALLOC_…: what a burst took goes back to the system (src/lib/allocator.ts).
ENV NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=16384 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    SLOTGATE_CONFIG=/etc/slotgate/slotgate.yaml
WORKDIR /app
# In a container the listeners must be reachable from outside it; protected-mode still refuses
# remote clients as long as no password is set.
RUN mkdir -p /etc/slotgate \
 && printf 'bind: 0.0.0.0\nhttp:\n  bind: 0.0.0.0\n' > /etc/slotgate/slotgate.yaml
COPY LICENSE package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# Numeric, so that Kubernetes' runAsNonRoot can verify it. The files belong to root: not writable.
USER 1000:1000
EXPOSE 6379 8379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=5 \
  CMD ["node", "dist/cli/slotgate.js", "healthcheck"]
CMD ["node", "dist/cli/slotgate.js", "serve", "-c", "/etc/slotgate/slotgate.yaml"]
