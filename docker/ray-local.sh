#!/bin/sh
# One Ray node on loopback with the four applications, for compose.yaml. Whoever reaches Ray's ports can run code in
# it, so it asks for a token that is new at each start.
set -eu
umask 077
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/tmp/ray-token
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH"
ray start --head --node-ip-address 127.0.0.1 --port 8301 --dashboard-host 127.0.0.1 --dashboard-port 8302 \
    --ray-client-server-port 8303 --num-cpus 4 --object-store-memory 134217728 --disable-usage-stats
serve deploy --address http://127.0.0.1:8302 /etc/preceptor/serve.yaml
# Ends, and the container with it, when the node does.
while ray health-check --address 127.0.0.1:8301 >/dev/null 2>&1; do sleep 10; done
exit 1
