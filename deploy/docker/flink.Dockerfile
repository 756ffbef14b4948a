# Flink with Python, the Kafka connector, our partitioner, and deploy/flink in /opt/flink/usrlib.
ARG FLINK_IMAGE=flink:2.1.1-scala_2.12-java17
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${FLINK_IMAGE} AS flink

FROM ${PYTHON_IMAGE} AS jars
WORKDIR /job
COPY requirements/local.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/local.txt
COPY --from=flink /opt/flink/lib /jars
COPY deploy/flink ./
RUN python jars.py /jars

FROM flink
# Not pinned: the image's distribution keeps only the newest versions.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s python3 /usr/bin/python \
    && pip3 install --no-cache-dir apache-flink==2.1.1
COPY --from=jars /jars/flink-sql-connector-kafka-*.jar /jars/product-partitioner.jar /opt/flink/lib/
COPY deploy/flink /opt/flink/usrlib
USER 9999:9999
