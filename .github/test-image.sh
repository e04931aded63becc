#!/usr/bin/env bash
# test-image.sh IMAGE: serves a tiny model of the repository from a container and asks it.
set -euo pipefail
image=$1
docker run --rm "$image" --version --verbose
container=$(docker run --detach --read-only --publish 127.0.0.1:8080:8080 \
  --volume "$PWD/tests/golden/heads/classifier:/model:ro" "$image" serve /model --host 0.0.0.0 --no-auth)
trap 'docker logs "$container"; docker rm --force "$container" > /dev/null' EXIT
for _ in $(seq 30); do
  curl --silent --fail http://127.0.0.1:8080/health > /dev/null && break
  sleep 1
done
answer=$(curl --silent --fail http://127.0.0.1:8080/predict -H 'Content-Type: application/json' -d '{"inputs": "w1 w2"}')
echo "$answer"
[[ $answer == *entailment* ]]
[ "$(docker inspect --format '{{.Config.User}}' "$image")" = nonroot ]
