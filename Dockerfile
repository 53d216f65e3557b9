# One image for every process: the command is api (the default), worker, simulate or another one of isms-otp.
#
#   docker build --build-arg VERSION=0.1.0 -t isms-otp-gateway .
#
# It runs as `node`, writes nothing to its file system and needs no npm, so `--read-only --cap-drop ALL` works.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/client/package.json packages/client/
COPY packages/simulator/package.json packages/simulator/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/copy-assets.mjs scripts/
COPY packages packages
COPY src src
# Optional packages are native add-ons that nothing here needs; npm would keep the TypeScript compiler as one of them.
# Types and source maps serve compilers and debuggers only. Licenses stay.
RUN npm run build \
  && npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && find dist node_modules packages -type f -regex '.*\.\([cm]?ts\|map\)' -delete

FROM node:24-slim
ARG VERSION=0.0.0
LABEL org.opencontainers.image.title="isms-otp-gateway" \
  org.opencontainers.image.description="A self-hosted gateway in front of the iSMS 2FA API: API, worker and simulator" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="$VERSION"
# Inside a container loopback reaches nobody; what is published decides who can call. The metrics stay on loopback,
# unless METRICS_HOST says otherwise: a worker has no other port whose answer shows its health.
ENV NODE_ENV=production HOST=0.0.0.0 METRICS_PORT=9464 UV_THREADPOOL_SIZE=16
# npm and its packages are only work for those who scan the image.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/packages packages
COPY --from=build /app/dist dist
USER node
EXPOSE 3000
STOPSIGNAL SIGTERM
# The same for api and worker: does the process answer? Redis being away is no reason to restart it; GET /readyz tells
# whether an API can take requests. `simulate` needs another check, as an empty METRICS_PORT does. Images in OCI format have
# none (buildah: `--format docker`).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.METRICS_PORT + '/metrics').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/isms-otp.js"]
CMD ["api"]
