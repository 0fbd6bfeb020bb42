# Millrace in a container: built with the distribution's C linker, run on the C library and nothing else (no shell), by an ordinary
# user. What stands after the image's name are options of the server, or a subcommand.
#
#   docker build -t millrace .
#   docker run --rm -p 127.0.0.1:6379:6379 -v millrace:/data millrace
#   docker run --rm -p 6379:6379 -v millrace:/data -e MILLRACE_PASSWORD=secret millrace --requirepass secret
#   docker run --rm millrace help
#
# As in Redis' own image, the default options switch protected mode off: a port of a container reaches nobody until it is published, and
# protected mode would refuse every client that comes through a published port. Publish it only where everybody may come, or set a
# password. Options of your own replace the default ones, so they need either `--protected-mode no` or a `--requirepass`.

FROM rust:1-slim-bookworm AS build
# The allocator is built with make.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make
WORKDIR /build
# Not rust-toolchain.toml: it would make rustup fetch a second toolchain beside the image's.
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --release --locked --bin millrace
# The file system of the image: the program, the libraries it loads with their loader, a name for the user.
RUN mkdir -p /image/usr/local/bin /image/etc /image/tmp /data \
    && chmod 1777 /image/tmp \
    && cp target/release/millrace /image/usr/local/bin/ \
    && strip /image/usr/local/bin/millrace \
    && ldd target/release/millrace | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/image \
    && echo 'millrace:x:65532:65532:Millrace:/tmp:/nonexistent' >/image/etc/passwd \
    && echo 'millrace:x:65532:' >/image/etc/group

FROM scratch
COPY --from=build /image /
# The snapshots and the log, as in Redis' image; a new volume takes over who owns it.
COPY --from=build --chown=65532:65532 /data /data
ENV PATH=/usr/local/bin
USER 65532:65532
VOLUME /data
WORKDIR /data
EXPOSE 6379
# Asks the server on port 6379; a password comes from MILLRACE_PASSWORD, another address from MILLRACE_URL. While it loads its data it is
# not ready, and may take that long.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 CMD ["millrace", "ping", "--quiet"]
ENTRYPOINT ["millrace"]
CMD ["--protected-mode", "no"]
