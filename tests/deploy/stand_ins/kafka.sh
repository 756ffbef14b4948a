#!/bin/bash
# Starts Kafka as the image apache/kafka does: KAFKA_NODE_ID=1 becomes node.id=1, and so on.
set -euo pipefail
properties=/etc/kafka-made/server.properties
env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
  [[ $name == HEAP_OPTS ]] && continue
  name="${name,,}"
  echo "${name//_/.}=$value"
done > "$properties"
read -r -a heap <<< "${KAFKA_HEAP_OPTS:-}"
java=(/opt/jre/bin/java "${heap[@]}" -XX:+UseSerialGC -cp '/opt/kafka/jars/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id 5L6g3nShT-eMCtK--X86sw \
  --config "$properties"
exec "${java[@]}" kafka.Kafka "$properties"
