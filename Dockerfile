# syntax=docker/dockerfile:1

# --- build: everything that is needed once ---
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The caches survive between builds; the program is copied out because they are not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin switchhook \
    && cp target/release/switchhook /switchhook

# --- run: the program, certificate authorities, and nobody's password ---
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin switchhook \
    && install --directory --owner 10001 /var/lib/switchhook
COPY --from=build /switchhook /usr/local/bin/switchhook
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/switchhook/

USER 10001:10001
# The journal and the number assignments: mount something here that outlives the container.
ENV SWITCHHOOK__STORE__FOLDER=/var/lib/switchhook
VOLUME /var/lib/switchhook
# The public listener. The private one (8081) stays on loopback until private.listen and
# private.tokens say otherwise.
EXPOSE 8080
# Drains on SIGTERM; give it longer than drain.timeout_ms.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["switchhook", "healthcheck", "--url", "http://127.0.0.1:8080/livez"]
ENTRYPOINT ["switchhook"]
CMD ["serve"]
