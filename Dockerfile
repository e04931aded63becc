# obertc without a shell, for a user without rights:
#
#     docker build -t obert .
#     docker run --rm -p 127.0.0.1:8080:8080 -v "$PWD:/models:ro" -e OBERT_API_KEY=… \
#       obert serve /models/reviews.obert-engine --host 0.0.0.0
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /obert
COPY . .
ARG OBERT_COMMIT
RUN cargo build --locked --release

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /obert/target/release/obertc /usr/local/bin/obertc
COPY LICENSE /usr/share/doc/obert/LICENSE
USER nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/obertc"]
CMD ["--help"]
