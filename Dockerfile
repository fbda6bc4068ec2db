# Everything that `consilium` runs on. No process of the image needs a network at run time, but for
# the node and the store that it is told.
#
# The base is pinned by its tag alone: no digest could be verified where this was written. Where one
# can, `docker buildx imagetools inspect python:3.11.15-slim-bookworm` tells it; put it behind the
# tag, in both places, as @sha256:….

FROM python:3.11.15-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /app
COPY .npmrc package.json package-lock.json pyproject.toml requirements.lock ./
COPY tools/setup.py tools/uv-requirements.lock tools/workbench.py tools/
# Empty, every package is one whose hash is in the lock. `cpu` takes a torch of a tenth of the size
# from PyTorch's own index, whose builds the lock has no hashes of.
ARG TORCH=
RUN python tools/setup.py --only python --torch-backend "$TORCH"
RUN python tools/setup.py --only node
COPY api api
COPY chain chain
COPY federated federated
COPY records records
COPY storage storage
RUN python tools/setup.py --only project

FROM python:3.11.15-slim-bookworm
LABEL org.opencontainers.image.title="Consilium" \
      org.opencontainers.image.description="Hospitals learn one model together, patients decide and are paid, anyone can check" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/app/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=packages /app/.venv .venv
# anvil, of the version and with the integrity of package-lock.json.
COPY --from=packages /app/node_modules/@foundry-rs node_modules/@foundry-rs
COPY LICENSE ./
COPY contracts contracts
COPY tools/compose_deploy.sh tools/
COPY api api
COPY chain chain
COPY federated federated
COPY records records
COPY storage storage
# Whose number is taken where nothing else is named. It owns nothing in the image.
USER 10001:10001
EXPOSE 8645
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8645/v1/ready', timeout=9)"]
CMD ["consilium", "--home", "/homes/relayer", "serve", "--relay", "--expose", "--host", "0.0.0.0"]
